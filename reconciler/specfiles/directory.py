"""The files of a directory of specs, read without ever blocking, leaving the directory, or following a trap."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.specfiles.places import Finding, make_problem
from reconciler.specfiles.problem_codes import Code

_SUFFIXES: Final = (".yaml", ".yml")
ENCRYPTED: Final = (".sops.yaml", ".sops.yml")
"""What SOPS has encrypted beside the specs is none of them."""


class DirectoryLimits(Struct, frozen=True):
    """Bounds of one directory: files, bytes of one file and of all, directories within one another."""

    files: int = 50_000
    file_bytes: int = 1 << 20
    total_bytes: int = 256 << 20
    depth: int = 16


class Listing(Struct):
    """What one walk found: the content of each file by its path below the directory, in order."""

    contents: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, SpecProblem] = field(default_factory=dict)
    """By path; what could not be read may hold anything."""
    unusable: SpecProblem | None = None
    """The directory as a whole can't be used."""


class _Refused(Exception):
    """A file that is not read, with the reason."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


def read_directory(directory: Path, limits: DirectoryLimits | None = None, *, shown: str = "") -> Listing:
    """Read every `*.yaml` and `*.yml` below `directory`; what begins with a dot or is SOPS's is skipped.

    Nothing is raised: what can't be read is a problem, of the directory as it is `shown`. No content of a refused file
    gets into one.
    """
    bounds = limits or DirectoryLimits()
    listing = Listing()
    shown = shown or str(directory)
    try:
        root = directory.resolve(strict=True)
        _refuse_writable(root.stat(), "this directory")
        total = 0
        for path, entry in _spec_files(root, listing, shown, bounds):
            try:
                content = _read(entry, root, bounds)
            except _Refused as refusal:
                _note(listing, shown, path, refusal)
                continue
            except OSError as error:
                _note(listing, shown, path, _Refused("S004", f"cannot be read: {error.strerror}"))
                continue
            listing.contents[path] = content
            total += len(content)
            _refuse_excess(len(listing.contents), total, bounds)
    except _Refused as refusal:
        listing.unusable = _problem(refusal.code, shown, refusal.message)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        message = f"{reason}; name an existing directory of specs that this user may read"
        listing.unusable = _problem("S001", shown, message)
    return listing


def _refuse_excess(files: int, total: int, bounds: DirectoryLimits) -> None:
    if files > bounds.files:
        raise _Refused("S007", f"more than {bounds.files} files; split the fleet into several directories")
    if total > bounds.total_bytes:
        raise _Refused("S007", f"more than {bounds.total_bytes >> 20} MiB of specs in all; split the fleet")


def shown_path(directory: str, path: str) -> str:
    """The path for people: control characters and what is not UTF-8 are escaped."""
    joined = os.path.normpath(os.path.join(directory, path))  # noqa: PTH118 - text to show, not a path to open
    if joined.isprintable():
        return joined
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in joined)


def _spec_files(
    root: Path, listing: Listing, shown: str, bounds: DirectoryLimits
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield each candidate with its path below `root`, sorted, parents before children."""
    pending = [("", os.fspath(root), 0)]
    while pending:
        below, folder, depth = pending.pop()
        for entry in _entries(folder, below, listing, shown):
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if depth >= bounds.depth:
                    refusal = _Refused("S007", f"directories more than {bounds.depth} deep are not read")
                    _note(listing, shown, path, refusal)
                else:
                    pending.append((f"{path}/", entry.path, depth + 1))
            elif entry.is_symlink() and Path(entry.path).is_dir():
                note = "a link to a directory is not followed; put the files themselves there"
                _note(listing, shown, path, _Refused("S006", note))
            elif entry.name.endswith(_SUFFIXES) and not entry.name.endswith(ENCRYPTED):
                yield path, entry


def _entries(folder: str, below: str, listing: Listing, shown: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if entry.name[0] != "."), key=lambda entry: entry.name)
        if below:
            _refuse_writable(os.stat(folder), "this directory")  # noqa: PTH116 - scandir's paths are strings
    except _Refused as refusal:
        _note(listing, shown, below, refusal)
        return []
    except OSError as error:
        if not below:
            raise
        _note(listing, shown, below, _Refused("S004", f"cannot be read: {error.strerror}"))
        return []
    return entries


def _read(entry: os.DirEntry[str], root: Path, bounds: DirectoryLimits) -> bytes:
    path = entry.path
    if entry.is_symlink():
        path = os.path.realpath(path)
        if not Path(path).is_relative_to(root):
            raise _Refused("S006", "a link that leaves the directory is not followed; put the file itself there")
    elif not entry.is_file(follow_symlinks=False):
        raise _Refused("S005", "not a regular file; move it out of the directory of specs")
    # NONBLOCK: a FIFO swapped in since the check does not hold us up. NOFOLLOW: nor does a link.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("S005", "not a regular file; move it out of the directory of specs")
        _refuse_writable(status, "this file")
        content = os.read(handle, status.st_size + 1) if status.st_size <= bounds.file_bytes else None
    finally:
        os.close(handle)
    if content is None or len(content) > bounds.file_bytes:
        raise _Refused("S007", f"larger than {bounds.file_bytes >> 10} KiB; split it into several files")
    return content


def _refuse_writable(status: os.stat_result, what: str) -> None:
    if status.st_mode & stat.S_IWOTH:
        raise _Refused("S003", f"everybody may write {what}, and so command every host; run chmod -R o-w on it")


def _note(listing: Listing, shown: str, path: str, refusal: _Refused) -> None:
    listing.problems[path] = _problem(refusal.code, shown_path(shown, path), refusal.message)


def _problem(code: Code, file: str, message: str) -> SpecProblem:
    return make_problem(Finding(code, (), message), SourceRef(file, 1), "")

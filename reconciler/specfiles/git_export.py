"""One commit's files below a path, written to a directory straight out of the object database.

No checkout: the bytes are those that were committed, and neither hooks, filters nor attributes have a say. A link
becomes a copy of the file that it leads to, where that is in the commit. What must not be followed (a link elsewhere, a
submodule) becomes a link that whoever reads specs refuses, by name and without anything of its target.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

from reconciler.private_files import make_private_folder
from reconciler.specfiles.git_program import Git, GitError

_SECONDS: Final = 120.0
_FILES: Final = 50_000
_DEEPEST: Final = 20
"""Directories within one another that are written; whoever reads specs refuses fewer."""
_HOPS: Final = 8
_LONGEST_LINK: Final = 4096
_LEADS_OUT: Final = "/dev/null/leads-out-of-the-repository"
_TO_A_DIRECTORY: Final = "."
_NAMELESS: Final = frozenset({b"", b".", b"..", b".git"})


class PathMissing(GitError):
    """The commit has no such directory."""


class _Entry(Struct, frozen=True):
    mode: bytes
    blob: bytes
    size: int

    @property
    def is_link(self) -> bool:
        return self.mode == b"120000"

    @property
    def is_submodule(self) -> bool:
        return self.mode == b"160000"


def export(git: Git, commit: str, path: str, into: Path, *, largest: int) -> None:
    """Write what is below `path` into the new directory `into`, at most `largest` bytes.

    Raises PathMissing; GitError for what is too much, or no name of a file; OSError.
    """
    entries = _entries(git, commit, path)
    total = sum(entry.size for entry in entries.values())
    if len(entries) > _FILES:
        raise GitError(f"it has more than {_FILES} files{_below(path)}", hint="split the fleet into several")
    if total > largest:
        raise GitError(
            f"its files{_below(path)} are more than {largest >> 20} MiB",
            hint="keep images and the like elsewhere, or raise git.largest",
        )
    make_private_folder(into)
    with git.running("cat-file", "--batch", timeout=_SECONDS) as process:
        blobs = _Blobs(process)
        folders = {b"."} | {folder for name in entries for folder in _above(name)}
        targets = {name: _target(blobs, entry) for name, entry in entries.items() if entry.is_link}
        room = largest - total
        for name, entry in sorted(entries.items()):
            file = _file(into, name)
            if entry.is_submodule:
                file.symlink_to(_TO_A_DIRECTORY)
                continue
            meant = _followed(name, entries, targets, folders) if entry.is_link else name
            if meant is None or meant == _A_DIRECTORY:
                file.symlink_to(_LEADS_OUT if meant is None else _TO_A_DIRECTORY)
                continue
            room -= entries[meant].size if entry.is_link else 0
            if room < 0:
                raise GitError(f"its links{_below(path)} lead to more than {largest >> 20} MiB")
            _write(file, blobs.content(entries[meant]))


_A_DIRECTORY: Final = b"/"


def _below(path: str) -> str:
    return f" below {path}" if path else ""


def _entries(git: Git, commit: str, path: str) -> Mapping[bytes, _Entry]:
    """By their path below `path`; what is hidden, or deeper than anybody reads, is left out."""
    try:
        named = git.answer("rev-parse", "--verify", "--quiet", f"{commit}:{path}", timeout=_SECONDS).decode().strip()
        listing = git.answer("ls-tree", "-r", "-l", "-z", named, timeout=_SECONDS)
    except GitError as error:
        raise PathMissing(f"it has no directory {path}", hint="commit it, or name another with git.path") from error
    return dict(_listed(listing))


def _listed(listing: bytes) -> Iterator[tuple[bytes, _Entry]]:
    for line in listing.split(b"\0"):
        if not line:
            continue
        facts, _, name = line.partition(b"\t")
        mode, _, blob, size = facts.split()
        parts = name.split(b"/")
        if not _NAMELESS.isdisjoint(parts) or max(map(len, parts)) > 255:
            raise GitError(f"it has a file that can't be written under its name: {ascii(name)[1:200]}")
        if len(parts) <= _DEEPEST:
            yield name, _Entry(mode, blob, int(size) if size.isdigit() else 0)


class _Blobs:
    """Contents out of `git cat-file --batch`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._ask: IO[bytes] = process.stdin  # type: ignore[assignment]  # pipes, both
        self._answer: IO[bytes] = process.stdout  # type: ignore[assignment]

    def content(self, entry: _Entry) -> bytes:
        self._ask.write(entry.blob + b"\n")
        self._ask.flush()
        header = self._answer.readline(200).split()
        if header != [entry.blob, b"blob", b"%d" % entry.size]:
            raise GitError(f"the repository lacks {entry.blob.decode()}, which is a file of it")
        content = self._answer.read(entry.size)
        if len(content) != entry.size or self._answer.read(1) != b"\n":
            raise GitError(f"the repository gave {entry.blob.decode()} out in part only")
        return content


def _target(blobs: _Blobs, link: _Entry) -> bytes:
    return blobs.content(link) if link.size <= _LONGEST_LINK else b"/"


def _above(name: bytes) -> Iterator[bytes]:
    """Every directory above a file."""
    while b"/" in name:
        name = name.rpartition(b"/")[0]
        yield name


def _followed(
    name: bytes, entries: Mapping[bytes, _Entry], targets: Mapping[bytes, bytes], folders: Collection[bytes]
) -> bytes | None:
    """The regular file that a link leads to, `/` for a directory of the commit, None for anything else."""
    for _ in range(_HOPS):
        target = targets[name]
        if target.startswith(b"/") or b"\0" in target:
            return None
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if name not in entries:
            return _A_DIRECTORY if name in folders else None
        if entries[name].is_submodule:
            return _A_DIRECTORY
        if not entries[name].is_link:
            return name
    return None


def _file(into: Path, name: bytes) -> Path:
    folder = into
    *above, last = os.fsdecode(name).split("/")
    for part in above:
        folder = folder / part
        if not folder.is_dir():
            make_private_folder(folder)
    return folder / last


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)

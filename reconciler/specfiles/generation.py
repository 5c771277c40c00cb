"""The name of one snapshot of the specs: the commit where the files are just that, else a hash of their content.

The files read are compared with the commit's tree by their blob names. `git status` would not do: it looks at the
disk a second time, and runs whatever filters and monitors the checkout's configuration names.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.revision import Revision
from reconciler.specfiles.directory import ENCRYPTED
from reconciler.specfiles.git_copy import copy_of
from reconciler.specfiles.git_repository import revision_of

_SAFE: Final = (
    "--no-replace-objects",
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=", "-c", "protocol.allow=never",
)  # fmt: skip
_TIMEOUT: Final = 5.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ENCRYPTED: Final = tuple(os.fsencode(suffix) for suffix in ENCRYPTED)
_REGULAR: Final = (b"100644", b"100755")


class Snapshot(Struct, frozen=True):
    """The name of a snapshot, and the commit that it is or was made from."""

    generation: str
    revision: Revision | None = None


def snapshot_of(directory: Path, contents: Mapping[str, bytes]) -> Snapshot:
    """Named after the commit of `directory` if its tree holds exactly `contents` (by path below it), else `content-…`.

    Where it holds something else, the commit is told as a dirty one.
    """
    copy = copy_of(directory)
    if copy is not None:
        content = content_hash(contents)
        same = content == copy.copied.content
        return Snapshot(copy.copied.revision.commit if same else content, copy.copied.revision)
    try:
        revision = _revision_of(directory.resolve(), contents)
    except (OSError, subprocess.SubprocessError):
        revision = None  # no git, not its owner, or no commit yet: the content says as much
    is_commit = revision is not None and not revision.is_dirty
    return Snapshot(revision.commit if revision and is_commit else content_hash(contents), revision)


def shown_directory(directory: Path) -> str:
    """What people know it as: of a copy the place within its repository, whose files are named by their paths there."""
    copy = copy_of(directory)
    return str(directory) if copy is None else copy.copied.path or "."


def generation_of(directory: Path, contents: Mapping[str, bytes]) -> str:
    """The name alone."""
    return snapshot_of(directory, contents).generation


def descends(directory: Path, generation: str, ancestor: str) -> bool:
    """Whether both are commits, and `generation` is the later one by the history of `directory`.

    False where Git does not know, or is not there.
    """
    if not (_COMMIT.fullmatch(generation) and _COMMIT.fullmatch(ancestor)):
        return False
    copy = copy_of(directory)
    try:
        _git(copy.repository if copy else directory.resolve(), "merge-base", "--is-ancestor", ancestor, generation)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def content_hash(contents: Mapping[str, bytes]) -> str:
    """The name of what is in the files alone, whatever commit that is."""
    digest = hashlib.sha256()
    for path in sorted(contents):
        name, content = os.fsencode(path), contents[path]
        digest.update(b"%d:%s%d:" % (len(name), name, len(content)))
        digest.update(content)
    return f"content-{digest.hexdigest()[:12]}"


def _revision_of(directory: Path, contents: Mapping[str, bytes]) -> Revision | None:
    """The commit that is checked out there; None where nothing of it is below `directory`."""
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return None
    header, _, raw = _git(directory, "cat-file", "--batch", asked=b"HEAD\n").partition(b"\n")
    commit, kind = header.decode().split()[:2]
    if kind != "commit":
        return None
    tree = _tree(_git(directory, "ls-tree", "-r", "-z", commit))
    algorithm = "sha1" if len(commit) == 40 else "sha256"
    ours = {os.fsencode(path): _blob(content, algorithm) for path, content in contents.items()}
    return replace(revision_of(commit, raw), is_dirty=ours != tree) if tree or not ours else None


def _tree(listing: bytes) -> dict[bytes, bytes]:
    """Blob names by path, of the files that are specs."""
    blobs: dict[bytes, bytes] = {}
    for entry in listing.split(b"\0"):
        properties, _, path = entry.partition(b"\t")
        hidden = path.startswith(b".") or b"/." in path
        if path.endswith((b".yaml", b".yml")) and not hidden and not path.endswith(_ENCRYPTED):
            mode, _, blob = properties.split(b" ")
            blobs[path] = blob if mode in _REGULAR else b"not a regular file"
    return blobs


def _blob(content: bytes, algorithm: str) -> bytes:
    return hashlib.new(algorithm, b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest().encode()


def _git(directory: Path, *arguments: str, asked: bytes = b"") -> bytes:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    bare = ("--git-dir=.",) if (directory / "HEAD").is_file() and (directory / "objects").is_dir() else ()
    return subprocess.run(
        ["git", "-C", os.fspath(directory), *bare, *_SAFE, *arguments],
        env=environment,
        input=asked,
        capture_output=True,
        timeout=_TIMEOUT,
        check=True,
    ).stdout

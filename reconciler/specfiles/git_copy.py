"""Copies of commits in the state directory, and which of them is followed.

STATE/git/repository/           what was fetched
STATE/git/commits/NAME/tree/    the files of one commit below the path of the specs, never changed
STATE/git/commits/NAME/commit.json
STATE/git/current -> commits/NAME
STATE/git/state.json            how the remote was reached last
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from reconciler.model.revision import Revision, SourceState
from reconciler.private_files import open_private

FOLDER: Final = "git"
REPOSITORY: Final = "repository"
COMMITS: Final = "commits"
_CURRENT: Final = "current"
_TREE: Final = "tree"
_FACTS: Final = "commit.json"
_STATE: Final = "state.json"


class Copied(Struct, frozen=True):
    """What is known of one copy."""

    revision: Revision
    url: str
    branch: str
    path: str
    content: str
    """Hash of its specs, as `content_hash` has it."""


class GitCopy(Struct, frozen=True):
    """One copy, wherever `current` leads to by now."""

    folder: Path
    copied: Copied

    @property
    def tree(self) -> Path:
        return self.folder / _TREE

    @property
    def repository(self) -> Path:
        return self.folder.parent.parent / REPOSITORY


def followed(state_dir: Path) -> Path:
    """The directory of the specs that are followed; nothing is there before a first commit is."""
    return state_dir / FOLDER / _CURRENT / _TREE


def copy_of(directory: Path) -> GitCopy | None:
    """The copy whose files `directory` leads to; None for any other directory."""
    real = directory.resolve()
    if real.name != _TREE or real.parent.parent.name != COMMITS:
        return None
    try:
        copied = msgspec.json.decode((real.parent / _FACTS).read_bytes(), type=Copied)
    except (OSError, msgspec.DecodeError):
        return None
    return GitCopy(real.parent, copied)


def write_facts(folder: Path, copied: Copied) -> None:
    """Say of a copy what it is, durably."""
    _replace(folder / _FACTS, msgspec.json.encode(copied))


def follow(root: Path, folder: Path) -> None:
    """Have `current` lead to that copy, at once and durably."""
    link = root / f".{_CURRENT}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(f"{COMMITS}/{folder.name}")
    link.replace(root / _CURRENT)
    _sync(root)


def unfollow(root: Path) -> None:
    """Have `current` lead nowhere."""
    (root / _CURRENT).unlink(missing_ok=True)
    _sync(root)


def read_state(state_dir: Path) -> SourceState | None:
    """How the repository was reached last; None where that is not known, or nobody follows one."""
    try:
        return msgspec.json.decode((state_dir / FOLDER / _STATE).read_bytes(), type=SourceState)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(state_dir: Path, state: SourceState) -> None:
    """For whoever looks; raises OSError."""
    _replace(state_dir / FOLDER / _STATE, msgspec.json.encode(state))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(open_private(temporary), "wb") as file:
        file.truncate(0)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The state directory: ours alone, or we don't start."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from reconciler.errors import StateError


def prepare_state_directory(path: Path) -> Path:
    """Make the directory (0700) where it is missing, check it where it is there; return it.

    Raises StateError if it can't be made, is no directory, or could be changed by every user of the machine.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"state directory {path} can't be used: {error.strerror}",
            hint=next_step(error, path),
        ) from error
    check_state_directory(path)
    return path


def check_state_directory(path: Path) -> None:
    """Raise StateError if the existing directory `path` could be changed by every user of the machine."""
    if path.stat().st_mode & stat.S_IWOTH:
        raise StateError(
            f"state directory {path} is writable by everybody, so anybody could forge what this program remembers",
            hint=f"run: chmod 700 {path}",
        )


def next_step(error: OSError, path: Path) -> str:
    """What helps after `error` within the state directory `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"make room on the file system of {path}"
    if error.errno == errno.EROFS:
        return f"look why the file system of {path} is read-only, or name another directory with --state-dir"
    return "run as the user that owns the state directory, or name another one with --state-dir"

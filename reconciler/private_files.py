"""Files and folders for one user alone.

Root may run a command beside a service of another user. What it makes in that user's folder is given to that user, or
the service could not open it any more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


def open_private(path: Path) -> int:
    """Descriptor of the file, made with mode 0600 where it is missing; raises OSError, also for a symbolic link."""
    try:
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Never given away: somebody may have put a link to a file of another here.
        return os.open(path, _FLAGS | os.O_CREAT, 0o600)
    try:
        _hand_over(descriptor, path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_private_folder(path: Path) -> None:
    """Make the folder with mode 0700 where it is missing; raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _hand_over(descriptor, path.parent)
    finally:
        os.close(descriptor)


def _hand_over(descriptor: int, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)

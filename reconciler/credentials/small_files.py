"""Reads a small file below a folder: no link leads out, nothing blocks, and what everybody may write is not believed.

Messages of errors go on from `… is read from the file F, `: who asks knows the rest.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from reconciler.errors import SecretMissing, SecretRefused

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def resolved_below(base: Path, named: str, folder: str) -> Path:
    """The file `named` below `base`, links followed; `folder` is what people call `base`.

    Raises SecretMissing, and SecretRefused where a link leads out.
    """
    real = base.resolve()
    try:
        found = (real / named).resolve(strict=True)
    except (OSError, ValueError) as error:
        raise SecretMissing(f"which is not in {folder}") from error
    if not found.is_relative_to(real):
        raise SecretRefused(f"a link that leads out of {folder}", hint="put the file itself there")
    return found


def read_small(file: Path, largest: int) -> bytes:
    """The content of a regular file of at most `largest` bytes; raises SecretMissing, SecretRefused."""
    try:
        handle = os.open(file, _FLAGS)
    except OSError as error:
        raise SecretMissing(
            f"which can't be read: {error.strerror}", hint="run this as root or as the controller's user"
        ) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise SecretRefused("which is no file", hint="put the secret itself there")
        if status.st_mode & stat.S_IWOTH:
            raise SecretRefused("which everybody may write", hint=f"run: chmod o-w {file}")
        content = os.read(handle, largest + 1)  # of a regular file this small, all at once
    finally:
        os.close(handle)
    if len(content) > largest:
        raise SecretRefused(f"which is larger than a secret ({largest >> 10} KiB)", hint="put the secret alone there")
    return content

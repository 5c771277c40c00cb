"""Small files that are either the old or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import StateError
from reconciler.images.refusals import CacheFull
from reconciler.private_files import open_private


@contextmanager
def storage_errors(directory: Path) -> Iterator[None]:
    """What goes wrong with files in `directory` as CacheFull or StateError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CacheFull(
                f"no space left on the controller in {directory}",
                hint="free some space there; what was fetched is kept",
            ) from error
        raise StateError(
            f"can't use the image cache {directory}: {error.strerror}", hint="check --state-dir and who owns it"
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` with mode 0600, durably and at once; the caller holds the lock of `path`."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = open_private(temporary)
    with os.fdopen(descriptor, "wb") as file:
        os.ftruncate(descriptor, 0)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames within the directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""One process at a time per cached file."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from reconciler.clock import Clock
from reconciler.images.refusals import DownloadCancelled
from reconciler.private_files import open_private

_POLL: Final = 0.2  # seconds between attempts: flock itself can't be cancelled


@contextmanager
def locked(path: Path, clock: Clock, stop: threading.Event) -> Iterator[None]:
    """Hold `path` exclusively, among threads and processes; raises DownloadCancelled when `stop` is set meanwhile."""
    while (descriptor := _try_lock(path)) is None:
        if clock.wait(stop, _POLL):
            raise DownloadCancelled("stopped while another fetch of the same image was running")
    try:
        yield
    finally:
        _release(path, descriptor)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold `path` if nobody does; tells whether it is held."""
    descriptor = _try_lock(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _try_lock(path: Path) -> int | None:
    descriptor = open_private(path)
    held = False
    try:
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us unlinked the file when it was done: only a lock on what the name now means counts.
            held = os.fstat(descriptor).st_ino == path.stat().st_ino
    finally:
        if not held:
            os.close(descriptor)
    return descriptor if held else None


def _release(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)

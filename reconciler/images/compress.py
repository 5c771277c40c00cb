"""A qcow2 image compressed by qemu-img, a program of its own with little to spend: what guests wrote is not trusted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from typing import BinaryIO, Final

from reconciler.clock import Clock
from reconciler.errors import DownloadFailed, ImageError
from reconciler.images.qemu_img import check_installed, convert_within

Look = Callable[[int], None]
_PLACE: Final = "/var/tmp"  # noqa: S108  # as large as disks are; without a name nobody else finds it
_CPU_SECONDS: Final = 120
_BYTES_A_CPU_SECOND: Final = 1 << 20
"""The least that a slow machine gets done: what takes longer is no compression any more."""
_CHUNK: Final = 1 << 20
_GLANCE: Final = 0.2
_FORMAT: Final = ("-f", "qcow2", "-O", "qcow2", "-c", "-o", "compression_type=zstd", "-m", "2")


def compressed(content: BinaryIO, clock: Clock, stop: threading.Event, look: Look) -> tuple[BinaryIO, int]:
    """The same image compressed, from its beginning, and its length in bytes; the caller closes it.

    Both files have no name, so that nothing stays of them whenever this ends. The image must stand on no other one:
    whatever its header names as one is not opened. Meanwhile `look` is told how many bytes there are by now; what it
    raises ends this. Raises ImageError, DownloadFailed where `stop` was set.
    """
    check_installed("compression")
    result = tempfile.TemporaryFile(dir=_PLACE)  # noqa: SIM115  # the caller closes it
    try:
        with tempfile.TemporaryFile(dir=_PLACE) as source:
            shutil.copyfileobj(content, source, _CHUNK)
            source.flush()
            _convert(source, result, clock, stop, look)
    except BaseException:
        result.close()
        raise
    length = os.fstat(result.fileno()).st_size
    result.seek(0)
    return result, length


def _convert(source: BinaryIO, result: BinaryIO, clock: Clock, stop: threading.Event, look: Look) -> None:
    files = (source.fileno(), result.fileno())
    seconds = _CPU_SECONDS + os.fstat(source.fileno()).st_size // _BYTES_A_CPU_SECOND
    command = [*convert_within(seconds), *_FORMAT]
    paths = [f"/proc/self/fd/{number}" for number in files]
    with subprocess.Popen(
        [*command, *paths], pass_fds=files, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            while process.poll() is None:
                _wait_a_moment(clock, stop)
                look(os.fstat(result.fileno()).st_size)
        except BaseException:
            process.kill()
            raise
        said = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
        if process.returncode:
            raise ImageError(f"qemu-img could not compress it: {' '.join(said.split()) or process.returncode}")


def _wait_a_moment(clock: Clock, stop: threading.Event) -> None:
    if clock.wait(stop, _GLANCE):
        raise DownloadFailed("stopped while it was compressed", hint="it goes on with the next start")

"""A qcow2 image compressed by qemu-img, a program of its own with little to spend: what guests wrote is not trusted."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from typing import BinaryIO, Final

from reconciler.clock import Clock
from reconciler.errors import DownloadFailed, ImageError
from reconciler.images.qemu_img import check_installed, convert_within

_PLACE: Final = "/var/tmp"  # noqa: S108  # as large as disks are; without a name nobody else finds it
_CPU_SECONDS: Final = 120
_BYTES_A_CPU_SECOND: Final = 1 << 20
"""The least that a slow machine gets done: what takes longer is no compression any more."""
_CHUNK: Final = 1 << 20
_GLANCE: Final = 0.2
_FORMAT: Final = ("-f", "qcow2", "-O", "qcow2", "-c", "-o", "compression_type=zstd", "-m", "2")


def compressed(content: BinaryIO, clock: Clock, stop: threading.Event) -> tuple[BinaryIO, int]:
    """The same image compressed, from its beginning, and its length in bytes; the caller closes it.

    Both files have no name, so that nothing stays of them whenever this ends. The image must stand on no other one:
    whatever its header names as one is not opened. Raises ImageError, DownloadFailed where `stop` was set.
    """
    check_installed("compression")
    result = tempfile.TemporaryFile(dir=_PLACE)  # noqa: SIM115  # the caller closes it
    try:
        with tempfile.TemporaryFile(dir=_PLACE) as source:
            shutil.copyfileobj(content, source, _CHUNK)
            source.flush()
            _convert(source, result, clock, stop)
    except BaseException:
        result.close()
        raise
    length = os.fstat(result.fileno()).st_size
    result.seek(0)
    return result, length


def _convert(source: BinaryIO, result: BinaryIO, clock: Clock, stop: threading.Event) -> None:
    files = (source.fileno(), result.fileno())
    seconds = _CPU_SECONDS + os.fstat(source.fileno()).st_size // _BYTES_A_CPU_SECOND
    command = [*convert_within(seconds), *_FORMAT]
    paths = [f"/proc/self/fd/{number}" for number in files]
    with subprocess.Popen(
        [*command, *paths], pass_fds=files, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            if clock.wait(stop, _GLANCE):
                process.kill()
                raise DownloadFailed("stopped while it was compressed", hint="it goes on with the next start")
        said = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
        if process.returncode:
            raise ImageError(f"qemu-img could not compress it: {' '.join(said.split()) or process.returncode}")

"""A disk of a version as one file on this machine, with its checksum beside it: whole or not there at all.

What is downloaded is kept in a hidden folder beside the file until it is done: who is killed goes on from there. Every
part of a chain is what was recorded of it, byte for byte, before anything reads it; which file rests on which is said
by the records, and never by the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal

from msgspec import Struct

from reconciler.errors import ImageError, PreconditionFailed
from reconciler.hypervisor.interface import Sink
from reconciler.images.digest import feed
from reconciler.images.durable import sync_directory
from reconciler.images.file_lock import locked_if_free
from reconciler.images.qcow2_header import check_alone
from reconciler.images.qemu_img import check_installed, convert_within
from reconciler.model.version import VersionDisk
from reconciler.private_files import make_private_folder, open_private

ExportFormat = Literal["qcow2", "raw"]
_HEAD: Final = 1 << 16
_CPU_SECONDS: Final = 600
_BYTES_A_CPU_SECOND: Final = 4 << 20
"""Far slower than any machine; a disk that is made to cost more is not converted."""


Download = Callable[[str, Sink, Callable[[int], None], int], None]
"""Gives the bytes of a volume from an offset on to a sink; the other function is called with how many came since."""


class Exported(Struct, frozen=True):
    """What was written."""

    path: Path
    size: int
    digest: str
    checksum_file: Path


class Export:
    """Brings one disk, whose `chain` goes from itself to the full one that it rests on, to `target`."""

    def __init__(
        self, chain: Sequence[VersionDisk], target: Path, format: ExportFormat, *, replace: bool = False
    ) -> None:
        self._chain = tuple(chain)
        self._target = target
        self._format = format
        self._replace = replace
        self._folder = target.with_name(f".{target.name}.export")

    @property
    def size(self) -> int:
        """Bytes to be downloaded."""
        return sum(disk.size for disk in self._chain)

    def write(self, download: Download, progress: Callable[[int], None]) -> Exported:
        """Download, verify, flatten, move into place.

        `progress` is called with bytes done since the last call. Raises PreconditionFailed where the file is there
        already, ImageError where what is stored is not what was recorded.
        """
        if self._target.exists() and not self._replace:
            raise PreconditionFailed(f"{self._target} is there already", hint="name another file, or add --force")
        make_private_folder(self._folder)
        with locked_if_free(self._folder / "lock") as held:
            if not held:
                raise PreconditionFailed(f"another export to {self._target} is under way", hint="wait for its end")
            parts = [self._part(number, disk, download, progress) for number, disk in enumerate(self._chain)]
            exported = self._finish(parts)
        shutil.rmtree(self._folder)
        return exported

    def _part(self, number: int, disk: VersionDisk, download: Download, progress: Callable[[int], None]) -> Path:
        """One file of the chain, with what is recorded of it."""
        path = self._folder / f"{number}.qcow2"
        digest = hashlib.sha256()
        with os.fdopen(open_private(path), "r+b") as file:
            have = file.seek(0, os.SEEK_END)
            if have > disk.size:
                file.truncate(0)
                have = 0
            feed(digest, file, have)
            file.seek(have)
            progress(have)
            if have < disk.size:
                download(disk.volume, _Hashed(file, digest), progress, have)
            file.flush()
            os.fsync(file.fileno())
            got = file.tell()
        if got != disk.size or f"sha256:{digest.hexdigest()}" != disk.digest:
            path.unlink()
            raise ImageError(
                f"{disk.volume} is not what was recorded when it was captured"
                f" ({got} of {disk.size} bytes, or others): the version is damaged",
                hint="export another version; what was captured of this one is lost",
            )
        check_alone(path.open("rb").read(_HEAD), disk.volume)
        return path

    def _finish(self, parts: Sequence[Path]) -> Exported:
        made = parts[0]
        if len(parts) > 1 or self._format != "qcow2":
            made = self._folder / "flat"
            os.close(open_private(made))
            _convert(parts, made, self._format)
        with made.open("r+b") as file:
            os.fsync(file.fileno())
            size = file.seek(0, os.SEEK_END)
            digest = hashlib.sha256()
            feed(digest, file, size)
        checksum_file = self._target.with_name(f"{self._target.name}.sha256")
        line = self._folder / "sha256"
        with os.fdopen(open_private(line), "wb") as file:
            file.truncate(0)
            file.write(f"{digest.hexdigest()}  {self._target.name}\n".encode())
            os.fsync(file.fileno())
        # The checksum first: a file under its final name always has the right one beside it.
        line.replace(checksum_file)
        made.replace(self._target)
        sync_directory(self._target.parent)
        return Exported(self._target, size, f"sha256:{digest.hexdigest()}", checksum_file)


class _Hashed:
    """What is written is hashed on its way."""

    def __init__(self, file: BinaryIO, digest: hashlib._Hash) -> None:
        self._file = file
        self._digest = digest

    def write(self, chunk: bytes, /) -> None:
        self._digest.update(chunk)
        self._file.write(chunk)


def _convert(parts: Sequence[Path], made: Path, format: ExportFormat) -> None:
    """Flatten by qemu-img, which is told every file and format of the chain and follows no name that a file has."""
    node: dict[str, object] = {}
    for path in reversed(parts):
        node = {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}, "backing": node or None}
    seconds = _CPU_SECONDS + sum(path.stat().st_size for path in parts) // _BYTES_A_CPU_SECOND
    check_installed("putting increments together and converting", otherwise="export a full version as qcow2")
    command = [*convert_within(seconds), "-O", format, f"json:{json.dumps(node)}", str(made)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise ImageError(f"qemu-img could not put it together: {done.stderr.strip() or done.returncode}")

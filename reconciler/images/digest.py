"""Digests of whole files, checked while they are read."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from reconciler.images.refusals import DownloadCancelled, ImageChanged

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER: Final = 1 << 20


def algorithm_of(digest: str) -> str:
    """`sha256` of `sha256:…`."""
    return digest.partition(":")[0]


def feed(digest: hashlib._Hash, file: BinaryIO, length: int, stop: threading.Event | None = None) -> None:
    """Hash the first `length` bytes of `file`; raises DownloadCancelled on `stop`, EOFError if it ends early."""
    buffer = memoryview(bytearray(_BUFFER))
    offset = 0
    while offset < length:
        if stop is not None and stop.is_set():
            raise DownloadCancelled("stopped while the image was verified")
        count = os.preadv(file.fileno(), [buffer[: min(_BUFFER, length - offset)]], offset)
        if not count:
            raise EOFError
        digest.update(buffer[:count])
        offset += count


def digest_of(file: BinaryIO, length: int, algorithm: str, stop: threading.Event | None = None) -> str:
    """`sha256:…` of the first `length` bytes; raises as `feed` does."""
    digest = hashlib.new(algorithm)
    feed(digest, file, length, stop)
    return f"{algorithm}:{digest.hexdigest()}"


class VerifiedContent(io.RawIOBase):
    """The first `length` bytes of a file; the read that would complete them fails unless their digest is `digest`.

    Raises ImageChanged. Owns the descriptor.
    """

    def __init__(self, path: Path, descriptor: int, length: int, digest: str, subject: str) -> None:
        super().__init__()
        self._path = path
        self._descriptor = descriptor
        self._left = length
        self._expected = digest
        self._subject = subject
        self._hash = hashlib.new(algorithm_of(digest))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")[: self._left]
        count = os.readv(self._descriptor, [view]) if len(view) else 0
        self._hash.update(view[:count])
        self._left -= count
        if not count and self._left:
            raise self._changed()
        if count and not self._left and f"{self._hash.name}:{self._hash.hexdigest()}" != self._expected:
            raise self._changed()
        return count

    def _changed(self) -> ImageChanged:
        return ImageChanged(
            f"{self._subject}: {self._path} changed since it was verified",
            hint="leave image files as they are while they are in use; plan again to use the new content",
        )

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()

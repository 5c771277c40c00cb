"""Digests of whole files, checked while they are read."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from reconciler.images.refusals import DownloadCancelled, ImageChanged

_BUFFER: Final = 1 << 20
_HASHED_BEHIND: Final = 4
"""Chunks that may wait to be hashed while others are sent: few enough to be in the processor's cache still."""


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

    What was read is hashed by a thread of its own while the reader sends it: a host takes it no slower than unverified.
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
        self._hasher = ThreadPoolExecutor(1, "digest")
        self._hashing: deque[Future[None]] = deque()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes, or all that is left of them."""
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = os.read(self._descriptor, wanted) if wanted else b""
        self._hashing.append(self._hasher.submit(self._hash.update, chunk))
        self._left -= len(chunk)
        self._await_hashing(0 if not self._left else _HASHED_BEHIND)
        if len(chunk) < wanted:
            raise self._changed()
        if chunk and not self._left and f"{self._hash.name}:{self._hash.hexdigest()}" != self._expected:
            raise self._changed()
        return chunk

    def _await_hashing(self, behind: int) -> None:
        while len(self._hashing) > behind:
            self._hashing.popleft().result()

    def _changed(self) -> ImageChanged:
        return ImageChanged(
            f"{self._subject}: {self._path} changed since it was verified",
            hint="leave image files as they are while they are in use; plan again to use the new content",
        )

    def close(self) -> None:
        if not self.closed:
            self._hasher.shutdown()
            os.close(self._descriptor)
        super().close()

"""Volumes of versions read and written through the controller."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO, Final

from reconciler.errors import TransientHostError
from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import POOL_PATIENCE, find_volume
from reconciler.hypervisor.interface import Hypervisor

_BLOCK: Final = 32 << 20
"""Bytes that are fetched at once: each fetch is a stream of its own."""
VERSION_MODE: Final = 0o600

Look = Callable[[int], None]
"""Called with bytes done since the last call; raises where it is to end."""


def unwatched(_: int) -> None:
    """Nobody watches."""


class Digest:
    """Implements Sink: what goes through, and how much of it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes, /) -> object:
        self._hash.update(chunk)
        self.size += len(chunk)
        return None

    def text(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class Reader(io.RawIOBase):
    """A volume as a file to read from its beginning to its end."""

    def __init__(
        self, context: ActionContext, host: Hypervisor, pool: str, volume: str, look: Look = unwatched
    ) -> None:
        super().__init__()
        self._context = context
        self._host = host
        self._where = (pool, volume)
        self._look = look
        self._offset = 0
        self._left = memoryview(b"")

    def digest(self) -> Digest:
        """Of all of it; and its size."""
        found = Digest()
        self._host.download_volume(*self._where, found, self._look)
        return found

    def content(self) -> bytes:
        """All of a small one."""
        sink = io.BytesIO()
        self._host.download_volume(*self._where, sink, self._look)
        return sink.getvalue()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self.content()
        if not self._left:
            sink = io.BytesIO()
            self._offset += self._host.download_volume(
                *self._where, sink, self._look, offset=self._offset, length=_BLOCK
            )
            self._left = sink.getbuffer()
        chunk = bytes(self._left[:size])
        self._left = self._left[len(chunk) :]
        return chunk


def put(
    context: ActionContext, host: Hypervisor, pool: str, volume: str, content: BinaryIO, length: int, look: Look
) -> Digest:
    """Make the volume and fill it; one of that name is replaced. Returns the digest of what was sent.

    It is created as raw: libvirt then makes a file of the content's own length, and finds the format by its next look.
    """
    drop(context, host, pool, volume)
    sent = Digest()
    context.patiently(lambda: host.create_volume(pool, volume, format="raw", capacity=length, mode=VERSION_MODE))
    host.upload_volume(pool, volume, _Told(content, sent), length, look)  # type: ignore[arg-type]  # it is read, no more
    context.patiently(lambda: host.pool(pool, refresh=True), POOL_PATIENCE)
    return sent


class _Told:
    """What is read, and the digest of it."""

    def __init__(self, content: BinaryIO, digest: Digest) -> None:
        self._content = content
        self._digest = digest

    def read(self, size: int = -1) -> bytes:
        chunk = self._content.read(size)
        self._digest.write(chunk)
        return chunk


def drop(context: ActionContext, host: Hypervisor, pool: str, volume: str) -> None:
    """Have no such volume; none that is there is fine."""
    if find_volume(context, host, pool, volume) is None:
        return
    context.patiently(lambda: host.delete_volume(pool, volume), POOL_PATIENCE)
    if find_volume(context, host, pool, volume) is not None:
        raise TransientHostError(
            f"volume {volume} is still there after it was deleted", host=host.name, target=str(context.action.target)
        )

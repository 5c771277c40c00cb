"""What a guest prints on its serial console, by a libvirt stream."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import HostConnection

_CHUNK: Final = 64 << 10
_CHUNKS_AT_ONCE: Final = 16
"""A guest that prints without end is not listened to without end."""


class HostConsole:
    """The console of one running domain; implements Console."""

    def __init__(self, connection: HostConnection, uuid: str) -> None:
        self._connection: Final = connection
        self._target: Final = f"VirtualMachine/{uuid}"

        def work(line: lv.Connection) -> Any:
            stream = line.newStream(lv.STREAM_NONBLOCK)
            line.lookupByUUIDString(uuid).openConsole(None, stream, lv.CONSOLE_FORCE)
            return stream

        self._stream: Final = connection.call(work, self._target)

    def read(self) -> bytes:
        """What came since; it never waits for more."""
        return self._connection.call(lambda _line: self._what_came(), self._target)

    def _what_came(self) -> bytes:
        chunks: list[bytes] = []
        # As long as nothing has come, libvirt answers with a number; at the end of the guest, with nothing.
        while len(chunks) < _CHUNKS_AT_ONCE and isinstance(chunk := self._stream.recv(_CHUNK), bytes) and chunk:
            chunks.append(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """Let go of it; where the guest or the connection has ended there is nothing to let go of."""

        def work(_line: lv.Connection) -> None:
            with suppress(lv.LibvirtError):
                self._stream.abort()

        self._connection.call(work, self._target)

"""The socket or ssh process beneath an `open` that hangs, and how to end it.

libvirt's `open` has no deadline. A `shutdown()` on the socket that it waits on makes it return an error at once,
without harm to other connections; with ssh, ending the ssh process does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import struct
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

_PORTS: Final = {"tcp": 16509, "tls": 16514}
_UNIX_NAMES: Final = ("libvirt-sock", "virtqemud-sock")


def unattended(uri: str) -> str:
    """`uri` such that ssh never asks a terminal for a password or host key, which nobody answers in a service."""
    parts = urlsplit(uri)
    if not parts.scheme.endswith("+ssh") or "no_tty" in parse_qs(parts.query):
        return uri
    return f"{uri}{'&' if parts.query else '?'}no_tty=1"


class Transport(Struct, frozen=True):
    """How a URI reaches its host: exactly one of TCP addresses, a Unix socket, an ssh process, or nothing."""

    host: str = ""
    port: int = 0
    unix_path: str | None = None
    ssh: bool = False

    @classmethod
    def of(cls, uri: str) -> Transport:
        """The transport that libvirt takes for `uri`."""
        parts = urlsplit(uri)
        kind = parts.scheme.partition("+")[2] or ("tls" if parts.hostname else "unix")
        if parts.scheme == "test":
            return cls()
        if kind == "unix":
            return cls(unix_path=parse_qs(parts.query).get("socket", [""])[0])
        if kind in _PORTS:
            return cls(host=parts.hostname or "", port=parts.port or _PORTS[kind])
        return cls(host=parts.hostname or "", ssh=True)

    def present(self) -> frozenset[int]:
        """What of this process could lead to the host: inodes of all its sockets, or ids of its children."""
        return frozenset(_children() if self.ssh else _sockets())

    def ends(self, *, since: frozenset[int]) -> frozenset[int]:
        """What of this process leads to the host and was not `present` then: inodes, or ids of ssh processes."""
        if self.ssh:
            return frozenset(pid for pid in _children() - since if self._is_our_ssh(pid))
        sockets = {inode: fd for inode, fd in _sockets().items() if inode not in since}
        if self.unix_path is None:
            return frozenset(sockets.keys() & _tcp_inodes(self.host, self.port))
        return frozenset(inode for inode, fd in sockets.items() if self._is_peer(_unix_peer(fd)))

    def end(self, ends: frozenset[int]) -> None:
        """Break these; whatever waits on them gets an error."""
        if self.ssh:
            for pid in ends:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            return
        for inode, fd in _sockets().items():
            if inode in ends:
                _shut_down(inode, fd)

    def _is_peer(self, peer: str) -> bool:
        return peer == self.unix_path if self.unix_path else peer.rpartition("/")[2] in _UNIX_NAMES

    def _is_our_ssh(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return words[0].rpartition(b"/")[2] == b"ssh" and self.host.encode() in words
        return False


def _sockets() -> dict[int, int]:
    """Descriptor by inode of every socket of this process."""
    found: dict[int, int] = {}
    # Strings, not paths: a fleet has hundreds of these, and every connecting host looks at all of them.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found[status.st_ino] = int(name)
    return found


def _tcp_inodes(host: str, port: int) -> set[int]:
    """Inodes of TCP sockets connected or connecting to the host; a connecting one has no peer name yet."""
    wanted = {_as_in_proc(entry[4][0], port) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    found: set[int] = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            rows = (line.split() for line in Path(table).read_text().splitlines()[1:])
            found |= {int(row[9]) for row in rows if row[2] in wanted}
    return found


def _as_in_proc(address: str | int, port: int) -> str:
    """`ADDRESS:PORT` as /proc/net/tcp writes it: hex words in this machine's byte order."""
    text = str(address)
    packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text.partition("%")[0])
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"


def _unix_peer(fd: int) -> str:
    """Path of the Unix socket at the other end, or empty."""
    # Whatever its family is: to be told it would take three calls more.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(fd)) as duplicate:
        peer = duplicate.getpeername()
        return peer if isinstance(peer, str) else ""
    return ""


def _shut_down(inode: int, fd: int) -> None:
    """Shut the socket down through a duplicate, once it is sure to be the one that was meant."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as duplicate:
        if os.fstat(duplicate.fileno()).st_ino == inode:
            duplicate.shutdown(socket.SHUT_RDWR)


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found

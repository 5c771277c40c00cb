"""The only module that imports libvirt: opening, events and the flags that the driver uses.

Everything else handles libvirt's objects without naming the library; they are typed `Any`, as it has no types.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import libvirt

from reconciler.hypervisor.transport import unattended

LibvirtError = libvirt.libvirtError
Connection = Any
T = TypeVar("T")

DOMAIN_XML_INACTIVE: Final[int] = libvirt.VIR_DOMAIN_XML_INACTIVE
DOMAIN_XML_SECURE: Final[int] = libvirt.VIR_DOMAIN_XML_SECURE
DOMAIN_STATS_STATE: Final[int] = libvirt.VIR_DOMAIN_STATS_STATE
LIST_DOMAINS_TRANSIENT: Final[int] = libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT
LIST_DOMAINS_AUTOSTART: Final[int] = libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART
LIST_POOLS_ACTIVE: Final[int] = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE
LIST_POOLS_AUTOSTART: Final[int] = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART
LIST_NETWORKS_ACTIVE: Final[int] = libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE
LIST_NETWORKS_AUTOSTART: Final[int] = libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART
NETWORK_XML_INACTIVE: Final[int] = libvirt.VIR_NETWORK_XML_INACTIVE
STREAM_NONBLOCK: Final[int] = libvirt.VIR_STREAM_NONBLOCK
CONSOLE_FORCE: Final[int] = libvirt.VIR_DOMAIN_CONSOLE_FORCE
AFFECT_LIVE: Final[int] = libvirt.VIR_DOMAIN_AFFECT_LIVE
METADATA_TITLE: Final[int] = libvirt.VIR_DOMAIN_METADATA_TITLE
METADATA_DESCRIPTION: Final[int] = libvirt.VIR_DOMAIN_METADATA_DESCRIPTION
METADATA_ELEMENT: Final[int] = libvirt.VIR_DOMAIN_METADATA_ELEMENT
BLOCK_RESIZE_BYTES: Final[int] = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
COMPARE_CPU_FAIL: Final[int] = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
BASELINE_CPU_MIGRATABLE: Final[int] = libvirt.VIR_CONNECT_BASELINE_CPU_MIGRATABLE
UNDEFINE_BASIC: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
UNDEFINE_ALL: Final[int] = UNDEFINE_BASIC | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
UNDEFINE_NVRAM: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
UNDEFINE_KEEP_NVRAM: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
DOMAIN_XML_MIGRATABLE: Final[int] = libvirt.VIR_DOMAIN_XML_MIGRATABLE
JOB_STATS_COMPLETED: Final[int] = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED
JOB_STATS_KEEP: Final[int] = libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
JOB_BACKUP: Final[int] = libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP
BACKUP_REUSE_EXTERNAL: Final[int] = libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL
BLOCK_SPEED_BYTES: Final[int] = libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES
JOB_UNDER_WAY: Final = frozenset({libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED})
JOB_ENDED: Final = frozenset({libvirt.VIR_DOMAIN_JOB_COMPLETED})
JOB_MIGRATIONS: Final = frozenset(
    {libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN}
)
MIGRATE_LIVE: Final[int] = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)
MIGRATE_OFFLINE: Final[int] = (
    libvirt.VIR_MIGRATE_OFFLINE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
)
MIGRATE_NON_SHARED_DISK: Final[int] = libvirt.VIR_MIGRATE_NON_SHARED_DISK
MIGRATE_NON_SHARED_INC: Final[int] = libvirt.VIR_MIGRATE_NON_SHARED_INC
MIGRATE_UNSAFE: Final[int] = libvirt.VIR_MIGRATE_UNSAFE
MIGRATE_AUTO_CONVERGE: Final[int] = libvirt.VIR_MIGRATE_AUTO_CONVERGE
MIGRATE_PARALLEL: Final[int] = libvirt.VIR_MIGRATE_PARALLEL
MIGRATE_COMPRESSED: Final[int] = libvirt.VIR_MIGRATE_COMPRESSED
MIGRATE_POSTCOPY: Final[int] = libvirt.VIR_MIGRATE_POSTCOPY
MIGRATE_TLS: Final[int] = libvirt.VIR_MIGRATE_TLS
PARAM_URI: Final[str] = libvirt.VIR_MIGRATE_PARAM_URI
PARAM_DEST_XML: Final[str] = libvirt.VIR_MIGRATE_PARAM_DEST_XML
PARAM_PERSIST_XML: Final[str] = libvirt.VIR_MIGRATE_PARAM_PERSIST_XML
PARAM_DISKS: Final[str] = libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS
PARAM_BANDWIDTH: Final[str] = libvirt.VIR_MIGRATE_PARAM_BANDWIDTH
PARAM_BANDWIDTH_POSTCOPY: Final[str] = libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY
PARAM_CONNECTIONS: Final[str] = libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS
PARAM_COMPRESSION: Final[str] = libvirt.VIR_MIGRATE_PARAM_COMPRESSION

_DOMAIN_EVENTS: Final = {
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: "lifecycle",
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: "metadata changed",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: "device added",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: "device removed",
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: "I/O error",
}
_CLOSE_REASONS: Final = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "connection error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "closed by the host",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "keepalive timeout",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "closed here",
}

_BETWEEN_TURNS: Final = 0.01
"""Seconds."""

OnEvent = Callable[[str, str, str], None]
"""Called with kind (`domain`, `pool`, `network`), name of the object, and detail."""


def ping_agent(domain: Any, seconds: int) -> None:
    """Have the agent in the guest answer; raises `LibvirtError` where it does not within `seconds`."""
    ask_agent(domain, "guest-ping", seconds)


def ask_agent(domain: Any, command: str, seconds: int) -> str:
    """The agent's answer as JSON; raises `LibvirtError` where there is none within `seconds`.

    The one call to an agent with a deadline of its own. Others wait for ever for an agent that hangs, keeping one of
    the few calls that a connection may have in flight; a deadline for all (`agentSetResponseTimeout`) would cut off
    what other programs ask of that guest, such as freezing its file systems. libvirt notes the domain as `tainted`.
    """
    import libvirt_qemu  # noqa: PLC0415  few specs ask for it

    return str(libvirt_qemu.qemuAgentCommand(domain, f'{{"execute": "{command}"}}', seconds, 0))


def keep_alive(connection: Connection, seconds: int, count: int) -> None:
    """Have a call on `connection` fail once its host has left `count` questions unanswered; needs the event loop."""
    connection.setKeepAlive(seconds, count)


def silence_libvirt() -> None:
    """By default libvirt prints every error on stderr, besides raising it."""
    libvirt.registerErrorHandler(_say_nothing, None)


def _say_nothing(*_: object) -> None:
    """In place of printing it."""


class EventLoop:
    """libvirt's event loop: one a process, in a daemon thread, started when it is first needed.

    Close callbacks and events live in it, and each of our calls wakes it twice: libvirt takes the call's socket out of
    the loop and puts it back. A turn goes over the sockets of all hosts, so turns are kept rare: with a hundred hosts
    they cost more than the calls. What happens meanwhile is told one pause later.
    """

    _lock: Final = threading.Lock()
    _thread: threading.Thread | None = None

    @classmethod
    def start(cls) -> None:
        """Start the loop unless it runs; has to happen before the first connection."""
        with cls._lock:
            if cls._thread is None:
                silence_libvirt()
                libvirt.virEventRegisterDefaultImpl()
                cls._thread = threading.Thread(target=cls._run, name="libvirt-events", daemon=True)
                cls._thread.start()

    @staticmethod
    def _run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()
            time.sleep(_BETWEEN_TURNS)


class Session:
    """An open connection to one host, and the callbacks on it.

    It is never closed by hand: that would free it under the calls that are still in it. libvirt closes a connection
    with its last reference, and callbacks hold one each, so `release` takes those back and drops its own.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._undo: Final[list[Callable[[], object]]] = []

    @classmethod
    def open(cls, uri: str, on_close: Callable[[Session, str], None] | None) -> Session:
        """Connect; may hang for ever, as libvirt gives this no deadline.

        `on_close` is told the reason, from the event loop's thread; without it there is no loop, and the end of the
        connection shows in the next call. Raises `LibvirtError`.
        """
        if on_close is None:
            silence_libvirt()
            return cls(libvirt.open(unattended(uri)))
        EventLoop.start()
        session = cls(connection := libvirt.open(unattended(uri)))

        def tell(_connection: Connection, reason: int, _opaque: object) -> None:
            on_close(session, _CLOSE_REASONS.get(reason, f"reason {reason}"))

        if _where_supported(lambda: connection.registerCloseCallback(tell, None)) is not None:
            session._undo.append(connection.unregisterCloseCallback)
        return session

    def watch(self, on_event: OnEvent) -> None:
        """Have `on_event` called, from the event loop's thread, for what happens to domains, pools and networks."""
        connection = self.connection
        for event, detail in _DOMAIN_EVENTS.items():
            callback = _teller(on_event, "domain", detail)
            self._register(
                partial(connection.domainEventRegisterAny, None, event, callback, None),
                connection.domainEventDeregisterAny,
            )
        callback, event = _teller(on_event, "pool", "lifecycle"), libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE
        self._register(
            partial(connection.storagePoolEventRegisterAny, None, event, callback, None),
            connection.storagePoolEventDeregisterAny,
        )
        callback, event = _teller(on_event, "network", "lifecycle"), libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE
        self._register(
            partial(connection.networkEventRegisterAny, None, event, callback, None),
            connection.networkEventDeregisterAny,
        )

    def _register(self, register: Callable[[], int], deregister: Callable[[int], object]) -> None:
        number = _where_supported(register)
        if number is not None:
            self._undo.append(partial(deregister, number))

    def release(self) -> None:
        """Let go of the connection; may wait for the host, and is then ended by breaking the transport."""
        self.connection = None
        for undo in self._undo:
            # On a connection that has ended the host can't be told; the callback is gone all the same.
            with suppress(LibvirtError):
                undo()
        self._undo.clear()

    def ask(self) -> object:
        """Have the host answer; an error that it sends is an answer too. Raises `LibvirtError` where none came."""
        try:
            return self.connection.getLibVersion()
        except LibvirtError:
            if not self.is_alive():
                raise
            return None

    def is_alive(self) -> bool:
        """Whether the connection is still up as far as this side knows; asks nobody."""
        try:
            return bool(self.connection.isAlive())
        except (LibvirtError, AttributeError):
            return False


def _teller(on_event: OnEvent, kind: str, detail: str) -> Callable[..., None]:
    """A callback for any of libvirt's event signatures: all begin with the connection and the object."""

    def tell(_connection: Connection, thing: Any, *_: object) -> None:
        on_event(kind, thing.name(), detail)

    return tell


def _where_supported(register: Callable[[], T]) -> T | None:
    """What `register` returns; None where a driver (such as libvirt's test driver) does not have it."""
    try:
        return register()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
        return None

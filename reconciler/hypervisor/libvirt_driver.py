"""The fleet of real hosts, by libvirt."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from reconciler.clock import Clock, SystemClock
from reconciler.hypervisor.connection import Limits
from reconciler.hypervisor.heartbeat import KEEPALIVE
from reconciler.hypervisor.interface import HostEvent
from reconciler.hypervisor.libvirt_host import LibvirtHost
from reconciler.hypervisor.turnstile import Turnstile

_THREADS_IN_ALL: Final = 128
_THREADS_A_HOST: Final = range(4, 17)
_READ_AT_ONCE: Final = 3
_READ_PATIENCE: Final = 0.5
_TICK_SECONDS: Final = 2.0


class LibvirtFleet:
    """Implements `Fleet`: host names to libvirt URIs; nothing is connected before it is used or subscribed to.

    Deadlines in seconds: `open_deadline` for connecting, `call_deadline` for calls that read or change little,
    `slow_call_deadline` for those that start or allocate something, `copy_deadline` for those that copy a disk;
    keepalive as (seconds without an answer, count of them). One that does not listen can't be subscribed to.
    """

    def __init__(
        self,
        hosts: Mapping[str, str],
        *,
        call_deadline: float = 10.0,
        slow_call_deadline: float = 60.0,
        copy_deadline: float = 3600.0,
        open_deadline: float = 6.0,
        keepalive: tuple[int, int] = KEEPALIVE,
        clock: Clock | None = None,
        listens: bool = True,
    ) -> None:
        self._limits: Final = Limits(
            call_deadline=call_deadline,
            slow_call_deadline=slow_call_deadline,
            copy_deadline=copy_deadline,
            open_deadline=open_deadline,
            keepalive=keepalive,
            threads=_THREADS_A_HOST[-1],
            listens=listens,
        )
        self._clock: Final[Clock] = clock or SystemClock()
        self._turnstile: Final = Turnstile(self._clock, size=_READ_AT_ONCE, patience=_READ_PATIENCE)
        self._lock: Final = threading.Lock()
        self._hosts: dict[str, LibvirtHost] = {}
        self._closing: Final = threading.Event()
        self._callbacks: tuple[Callable[[HostEvent], None], ...] = ()
        self.update(hosts)
        # A connection to a hung host must be broken off before the interpreter drops it and waits for an answer.
        atexit.register(self.close)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._hosts))

    def host(self, name: str) -> LibvirtHost:
        return self._hosts[name]

    def update(self, hosts: Mapping[str, str]) -> None:
        """Take up new hosts, let go of those that are gone, and reconnect those whose URI changed."""
        threads = min(_THREADS_A_HOST[-1], max(_THREADS_A_HOST[0], _THREADS_IN_ALL // max(1, len(hosts))))
        limits = replace(self._limits, threads=threads)
        with self._lock:
            before = self._hosts
            kept = {name: host for name, host in before.items() if hosts.get(name) == host.uri}
            fresh = {name: self._make_host(name, uri, limits) for name, uri in hosts.items() if name not in kept}
            self._hosts = {**kept, **fresh}
            watched = bool(self._callbacks)
        for name, host in before.items():
            if name not in kept:
                host.close()
        for host in fresh.values() if watched else ():
            host.subscribe(self._tell)

    def _make_host(self, name: str, uri: str, limits: Limits) -> LibvirtHost:
        return LibvirtHost(name, uri, limits, self._clock, self._turnstile)

    def subscribe(self, callback: Callable[[HostEvent], None]) -> None:
        with self._lock:
            first = not self._callbacks
            self._callbacks = (*self._callbacks, callback)
            hosts = list(self._hosts.values())
        if first:
            for host in hosts:
                host.subscribe(self._tell)
            threading.Thread(target=self._keep_connected, name="fleet-heartbeat", daemon=True).start()

    def dial(self) -> None:
        """Begin to connect to every host; never waits."""
        for host in tuple(self._hosts.values()):
            host.tick()

    def _keep_connected(self) -> None:
        """Connect and reconnect every host while somebody wants its events."""
        while not self._closing.is_set():
            for host in tuple(self._hosts.values()):
                host.tick()
            self._closing.wait(_TICK_SECONDS)

    def _tell(self, event: HostEvent) -> None:
        for callback in self._callbacks:
            callback(event)

    def close(self) -> None:
        """Close every host at once, so that many that hang take no longer than one."""
        atexit.unregister(self.close)
        self._closing.set()
        closers = [threading.Thread(target=host.close, daemon=True) for host in self._hosts.values()]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()

"""The real hosts for a command that only looks: those of a large fleet are read in several processes.

One interpreter can't parse what a hundred hosts say as fast as they say it: its threads wait for one another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.clock import Clock
from reconciler.hypervisor.connection import Limits
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.hypervisor.libvirt_host import LibvirtHost
from reconciler.hypervisor.turnstile import Turnstile
from reconciler.model.inventory import HostInventory, ObservedPool

if TYPE_CHECKING:
    from reconciler.hypervisor.reading_process import ReadingProcess

_MANY: Final = 32
"""Hosts for which several processes are worth their start."""
_PROCESSES: Final = range(2, 5)


class ElsewhereReadHost(LibvirtHost):
    """A host that `process` reads; all else goes over a connection of this process, which is opened once needed."""

    def __init__(
        self, name: str, uri: str, limits: Limits, clock: Clock, turnstile: Turnstile, process: ReadingProcess
    ) -> None:
        super().__init__(name, uri, limits, clock, turnstile)
        self._process: Final = process

    @property
    def connected(self) -> bool:
        return self._process.is_connected(self.name)

    def read(self, *, pools_with_volumes: Iterable[str] = (), refresh: bool = False) -> HostInventory:
        return self._process.inventory(self.name, pools_with_volumes, refresh=refresh)

    def pool(self, name: str, *, refresh: bool = False) -> ObservedPool:
        return self._process.pool(self.name, name, refresh=refresh)


class LookingFleet(LibvirtFleet):
    """As LibvirtFleet, for a command that only looks: nobody can subscribe to it."""

    def __init__(self, hosts: Mapping[str, str], *, clock: Clock | None = None) -> None:
        self._processes: list[ReadingProcess] = []
        self._readers: dict[str, tuple[str, ReadingProcess]] = {}
        super().__init__(hosts, clock=clock, listens=False)

    def update(self, hosts: Mapping[str, str]) -> None:
        if not self._processes and len(hosts) >= _MANY and _is_alone():
            self._share_out(hosts)
        super().update(hosts)

    def close(self) -> None:
        for process in self._processes:
            process.close()
        super().close()

    def _make_host(self, name: str, uri: str, limits: Limits) -> LibvirtHost:
        read_uri, process = self._readers.get(name, ("", None))
        if process is None or read_uri != uri:
            return super()._make_host(name, uri, limits)
        return ElsewhereReadHost(name, uri, limits, self._clock, self._turnstile, process)

    def _share_out(self, hosts: Mapping[str, str]) -> None:
        make: type[ReadingProcess] = import_module("reconciler.hypervisor.reading_process").ReadingProcess
        count = min(_PROCESSES[-1], max(_PROCESSES[0], os.cpu_count() or 1))
        for number in range(count):
            share = dict(sorted(hosts.items())[number::count])
            process = make(partial(LibvirtFleet, share, clock=self._clock, listens=False), self._processes)
            self._processes.append(process)
            self._readers.update({name: (uri, process) for name, uri in share.items()})


def _is_alone() -> bool:
    """Whether this process has one thread, those of libraries counted: only then is it safe to fork."""
    return len(list(Path("/proc/self/task").iterdir())) == 1

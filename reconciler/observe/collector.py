"""Every host → inventory; one that fails or hangs neither hides nor slows the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Final

from reconciler.clock import Clock
from reconciler.errors import HostError
from reconciler.hypervisor.interface import Fleet
from reconciler.model.desired_state import DesiredState
from reconciler.model.election import storage_host
from reconciler.model.inventory import HostInventory, ImageFacts, Inventory, UnreadHost

GRACE: Final = 1.0
"""Seconds that the slowest hosts are given once all others have answered; see `Collector.collect`."""


@dataclass(frozen=True, slots=True)
class _Reading:
    host: str
    result: HostInventory | HostError


class Collector:
    """Reads the fleet again and again; remembers when each host was last seen and who is still being read."""

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock
        self._last_seen: dict[str, float] = {}
        self._pending: dict[str, float] = {}
        self._lock = threading.Lock()

    def collect(
        self,
        desired: DesiredState,
        images: Mapping[str, ImageFacts],
        *,
        timeout: float,
        patience: float = GRACE,
        refresh: bool = False,
    ) -> Inventory:
        """Read every host of the specs at once.

        Returns when all have answered, or after `timeout` seconds. Once half of the hosts have answered, the rest get
        only `patience` seconds or as long again as the others took, whichever is more: a host that hangs must not hold
        up the plan for those that don't. A host that has not answered is unread; its late answer is dropped.
        """
        names = tuple(sorted(desired.hosts))
        local_pools = {name: _local_pools(desired, name) for name in names}
        readings = self._read_all(names, local_pools, timeout=timeout, patience=patience, refresh=refresh)
        hosts = {name: result for name, result in readings.items() if isinstance(result, HostInventory)}
        unread = {
            name: self._unread(name, readings.get(name))
            for name in names
            if not isinstance(readings.get(name), HostInventory)
        }
        self._read_shared_pools(desired, hosts, timeout=timeout)
        return Inventory(hosts=hosts, unread=unread, images=images)

    def _read_all(
        self,
        names: Iterable[str],
        pools: Mapping[str, tuple[str, ...]],
        *,
        timeout: float,
        patience: float,
        refresh: bool,
    ) -> dict[str, HostInventory | HostError]:
        def read(name: str) -> Callable[[], HostInventory]:
            return lambda: self._fleet.host(name).read(pools_with_volumes=pools[name], refresh=refresh)

        return self._gather({name: read(name) for name in names}, timeout=timeout, patience=patience)

    def _gather(
        self, calls: Mapping[str, Callable[[], HostInventory]], *, timeout: float, patience: float
    ) -> dict[str, HostInventory | HostError]:
        answers: SimpleQueue[_Reading] = SimpleQueue()
        awaited = 0
        for name, call in calls.items():
            if self._begin(name):
                awaited += 1
                threading.Thread(
                    target=self._answer, args=(name, call, answers), name=f"read-{name}", daemon=True
                ).start()
        return self._await(answers, awaited, timeout=timeout, patience=patience)

    def _begin(self, name: str) -> bool:
        """A host that is still being read from an earlier pass gets no second reader: hung reads must not pile up."""
        with self._lock:
            if name in self._pending:
                return False
            self._pending[name] = self._clock.now()
            return True

    def _answer(self, name: str, call: Callable[[], HostInventory], answers: SimpleQueue[_Reading]) -> None:
        try:
            result: HostInventory | HostError = call()
            self._last_seen[name] = self._clock.now()
        except HostError as error:
            result = error
        finally:
            with self._lock:
                self._pending.pop(name, None)
        answers.put(_Reading(name, result))

    def _await(
        self, answers: SimpleQueue[_Reading], awaited: int, *, timeout: float, patience: float
    ) -> dict[str, HostInventory | HostError]:
        begun = self._clock.monotonic()
        deadline = begun + timeout
        found: dict[str, HostInventory | HostError] = {}
        while len(found) < awaited:
            try:
                reading = answers.get(timeout=max(0.0, deadline - self._clock.monotonic()))
            except Empty:
                break
            found[reading.host] = reading.result
            if 2 * len(found) >= awaited:
                elapsed = self._clock.monotonic() - begun
                deadline = min(deadline, begun + elapsed + max(patience, elapsed))
        return found

    def _unread(self, name: str, result: HostInventory | HostError | None) -> UnreadHost:
        if isinstance(result, HostError):
            return UnreadHost(name, result.message, result.hint, self._last_seen.get(name))
        since = self._pending.get(name)
        waited = "" if since is None else f" for {self._clock.now() - since:.0f} s"
        return UnreadHost(
            name,
            f"has not answered{waited}",
            f"look at libvirtd on {name}, or wait: it is asked again in every pass",
            self._last_seen.get(name),
        )

    def _read_shared_pools(
        self,
        desired: DesiredState,
        hosts: dict[str, HostInventory],
        *,
        timeout: float,
    ) -> None:
        """Volumes of a shared pool, through the first host that has it active, looked at afresh.

        libvirtd keeps a list of its own: what another host made is not in it until the pool is refreshed.
        """
        for name, pool in sorted(desired.pools.items()):
            if not pool.spec.shared:
                continue
            reader = storage_host(desired, hosts, name)
            if reader is None or name not in hosts[reader].pools or not hosts[reader].pools[name].active:
                continue
            host = hosts[reader]
            alone = len([n for n in hosts if pool.spec.hosts.matches(n, desired.hosts[n].metadata.labels)]) == 1

            def call(host: HostInventory = host, name: str = name, *, refresh: bool = not alone) -> HostInventory:
                observed = self._fleet.host(host.name).pool(name, refresh=refresh)
                return replace(host, pools={**host.pools, name: observed})

            result = self._gather({reader: call}, timeout=timeout, patience=timeout).get(reader)
            if isinstance(result, HostInventory):
                hosts[reader] = result
            else:
                # Without the volumes the pool's VMs wait, the rest of the host is known all the same.
                hosts[reader] = replace(host, pools={**host.pools, name: replace(host.pools[name], volumes=None)})


def _local_pools(desired: DesiredState, host: str) -> tuple[str, ...]:
    labels = desired.hosts[host].metadata.labels
    return tuple(
        name for name, pool in desired.pools.items() if not pool.spec.shared and pool.spec.hosts.matches(host, labels)
    )

"""Every host → inventory; one that fails or hangs neither hides nor slows the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from queue import Empty
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import HostError, mistake_of_ours
from reconciler.hypervisor.interface import Fleet
from reconciler.model.desired_state import DesiredState
from reconciler.model.election import storage_host
from reconciler.model.host import Host
from reconciler.model.inventory import HostInventory, ImageFacts, Inventory, UnreadHost
from reconciler.observe.memory import HostMemory
from reconciler.observe.readers import Answers, Readers, Reading, Threads

GRACE: Final = 1.0
"""Seconds that a host of unknown speed is given once half of the others have answered; see `Collector.finish`."""
_MARGIN: Final = 0.02
_LATE: Final = 10.0
"""Seconds for which a late answer may stand in for one that is not in time either."""


class Round(Struct, frozen=True):
    """Hosts that are being read; made by `Collector.begin`."""

    hosts: frozenset[str]
    begun: float
    """Monotonic time."""
    dialled_at: float
    """When connecting to hosts began, if that was earlier."""
    answers: Answers
    silent: Mapping[str, str] = field(default_factory=dict)
    """Hosts that were not asked, and why they are known not to answer."""
    late: Mapping[str, HostInventory] = field(default_factory=dict)
    """Answers to earlier rounds that have come since; nobody waits for a newer one of these hosts."""


class Collector:
    """Reads the fleet again and again; remembers when each host was last seen and who is still being read."""

    def __init__(self, fleet: Fleet, clock: Clock, readers: Readers | None = None) -> None:
        self._fleet = fleet
        self._clock = clock
        self._readers: Readers = readers or Threads()
        self._last_seen: dict[str, float] = {}
        self._pending: dict[str, float] = {}
        self._overdue: list[tuple[Round, set[str]]] = []
        """Earlier rounds, and the hosts whose answers to them had not come when they ended."""
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        self._memory = HostMemory(clock)

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each host took when it was first read: it was connected to, as by every command that only looks."""
        return dict(self._seconds)

    def touch(self, host: str) -> None:
        """Something happened on `host`, or is about to: read it in full the next time."""
        self._memory.touch(host)

    def begin(
        self,
        desired: DesiredState,
        *,
        refresh: bool = False,
        resync_after: float = 0.0,
        dialled_at: float | None = None,
        silent: Mapping[str, str] | None = None,
    ) -> Round:
        """Start to read every host of the specs at once; never waits, so that other work can be done meanwhile.

        `dialled_at` is when connecting to them began (monotonic), where that was before. Hosts of `silent` are known
        not to answer, and why: they are not asked.

        A host that was read in full within the last `resync_after` seconds and was not touched since is swept: two
        calls, and what is known of it stands if they tell nothing new. `refresh` has libvirt look at the storage.
        """

        def read(name: str) -> Callable[[], HostInventory]:
            uri = desired.hosts[name].spec.uri
            pools = _local_pools(desired, name)
            return lambda: self._memory.read(
                self._fleet.host(name), uri, pools, refresh=refresh, resync_after=resync_after
            )

        silent = silent or {}
        late = {
            name: result
            for name, result in self._late_answers().items()
            if name in desired.hosts and name not in silent
        }
        round_ = self._start({name: read(name) for name in sorted(desired.hosts.keys() - silent.keys())}, dialled_at)
        return replace(round_, silent=silent, late=late)

    def finish(
        self,
        round_: Round,
        desired: DesiredState,
        images: Mapping[str, ImageFacts],
        *,
        timeout: float,
        usual: Mapping[str, float] | None = None,
        is_stranger: Callable[[HostInventory], bool] = lambda _: False,
    ) -> Inventory:
        """Wait for a round that was begun, and return what it found.

        Shared pools are not read through a host that `is_stranger`: another machine under its name.

        Returns when all hosts have answered, or after `timeout` seconds. A host that hangs must not hold up the plan
        for those that don't: once half of them have answered, the rest are given as long again, but at least GRACE
        seconds; one that is not even connected and is known to answer within `usual` seconds, hardly more than that. A
        host that has not answered by then is unread; its late answer is taken by the next round, which asks it again
        meanwhile: a slow host is seen one round behind.
        """
        fresh = self._await(round_, timeout=timeout, usual=usual or {})
        if overdue := set(round_.hosts - fresh.keys()):
            self._overdue.append((round_, overdue))
        readings = {**round_.late, **fresh}
        hosts = {name: result for name, result in readings.items() if isinstance(result, HostInventory)}
        unread = {
            name: self._unread(desired.hosts[name], readings.get(name), round_.silent.get(name, ""))
            for name in sorted(desired.hosts)
            if name not in hosts
        }
        strangers = {name for name, host in hosts.items() if is_stranger(host)}
        self._read_shared_pools(desired, hosts, strangers, timeout=timeout)
        return Inventory(hosts=hosts, unread=unread, images=images)

    def _start(
        self, calls: Mapping[str, Callable[[], HostInventory]], dialled_at: float | None = None, pool: str = ""
    ) -> Round:
        """Ask hosts, in all or for one `pool`."""
        answers = self._readers.answers()
        begun = self._clock.monotonic()
        dialled_at = begun if dialled_at is None else dialled_at
        asked = frozenset(name for name in calls if self._begin(name + pool))
        for name in sorted(asked):
            since = begun if self._fleet.host(name).connected else dialled_at
            self._readers.start(f"read-{name}", partial(self._answer, name, pool, calls[name], answers, since))
        return Round(asked, begun, dialled_at, answers)

    def _begin(self, name: str) -> bool:
        """What is still being read from an earlier pass gets no second reader: hung reads must not pile up."""
        with self._lock:
            if name in self._pending:
                return False
            self._pending[name] = self._clock.now()
            return True

    def _late_answers(self) -> dict[str, HostInventory]:
        """What hosts said too late for the round that asked them, as far as it still holds."""
        late: dict[str, HostInventory] = {}
        for round_, hosts in self._overdue:
            with suppress(Empty):
                while hosts:
                    reading = round_.answers.get(timeout=0.0)
                    hosts.discard(reading.host)
                    if isinstance(reading.result, HostInventory) and not self._is_outdated(reading):
                        late[reading.host] = reading.result
        self._overdue = [(round_, hosts) for round_, hosts in self._overdue if hosts]
        return late

    def _is_outdated(self, reading: Reading) -> bool:
        """Too old, or of before something that happened since it was begun."""
        too_old = self._clock.monotonic() - reading.at > _LATE
        return too_old or self._memory.touches(reading.host) != reading.touches

    def _answer(self, name: str, pool: str, call: Callable[[], HostInventory], answers: Answers, begun: float) -> None:
        touches = self._memory.touches(name)
        try:
            result: HostInventory | HostError = call()
            self._last_seen[name] = self._clock.now()
        except HostError as error:
            result = error
        except Exception as error:  # noqa: BLE001  a mistake of ours in reading one host must not hold up the others
            result = mistake_of_ours(error, name)
        with self._lock:
            self._pending.pop(name + pool, None)
        now = self._clock.monotonic()
        answers.put(Reading(name, result, now - begun, now, touches))

    def _await(
        self, round_: Round, *, timeout: float, usual: Mapping[str, float]
    ) -> dict[str, HostInventory | HostError]:
        deadline = round_.begun + timeout
        found: dict[str, HostInventory | HostError] = {}
        slowest, extended = 0.0, False
        awaited = round_.hosts - round_.late.keys()
        while not awaited <= found.keys():
            try:
                reading = round_.answers.get(timeout=max(0.0, deadline - self._clock.monotonic()))
            except Empty:
                if extended or not self._any_connected(awaited - found.keys()):
                    break
                # Connected is answered: such a host is slow, not silent.
                extended = True
                deadline = min(round_.begun + timeout, _until(round_, slowest, None))
                continue
            found[reading.host] = reading.result
            if isinstance(reading.result, HostInventory):
                # The first time includes connecting, which a command that only looks always has to do.
                self._seconds.setdefault(reading.host, reading.seconds)
            slowest = max(slowest, reading.seconds)
            if 2 * len(found) >= len(awaited):
                until = (
                    _until(round_, slowest, None if extended else usual.get(name)) for name in awaited - found.keys()
                )
                deadline = min(round_.begun + timeout, max(until, default=0.0))
        return found

    def _any_connected(self, hosts: Collection[str]) -> bool:
        return any(self._fleet.host(name).connected for name in hosts)

    def _unread(self, host: Host, result: HostInventory | HostError | None, silence: str) -> UnreadHost:
        name, uri = host.name, host.spec.uri
        if silence:
            hint = f"check that {name} is up, and that this is its address: {uri}; it is asked again and again"
            return UnreadHost(name, f"does not answer ({silence})", hint, self._last_seen.get(name))
        if isinstance(result, HostError):
            return UnreadHost(name, result.message, result.hint, self._last_seen.get(name))
        since = self._pending.get(name)
        asked = "" if since is None else f" (asked {max(0.1, self._clock.now() - since):.1f} s ago)"
        return UnreadHost(
            name,
            f"{uri} has not answered{asked}",
            f"see that {name} is up and reached by that address, then at its libvirtd; it is asked again by itself",
            self._last_seen.get(name),
        )

    def _read_shared_pools(
        self,
        desired: DesiredState,
        hosts: dict[str, HostInventory],
        strangers: Collection[str],
        *,
        timeout: float,
    ) -> None:
        """Volumes of a shared pool, through the first host that has it active, looked at afresh.

        libvirtd keeps a list of its own: what another host made is not in it until the pool is refreshed.
        """
        for name, pool in sorted(desired.pools.items()):
            if not pool.spec.shared:
                continue
            reader = storage_host(desired, {n: h for n, h in hosts.items() if n not in strangers}, name)
            if reader is None or name not in hosts[reader].pools or not hosts[reader].pools[name].active:
                continue
            host = hosts[reader]
            known = self._memory.shared_pool(name, host)
            if known is not None:
                hosts[reader] = replace(host, pools={**host.pools, name: known})
                continue

            # Also where one host is left in the specs: others may have made volumes while they were in them.
            def call(host: HostInventory = host, name: str = name) -> HostInventory:
                observed = self._fleet.host(host.name).pool(name, refresh=True)
                self._memory.keep_shared_pool(observed, host)
                return replace(host, pools={**host.pools, name: observed})

            result = self._await(self._start({reader: call}, pool=f"/{name}"), timeout=timeout, usual={}).get(reader)
            if isinstance(result, HostInventory):
                hosts[reader] = result
            else:
                # Without the volumes the pool's VMs wait, the rest of the host is known all the same.
                hosts[reader] = replace(host, pools={**host.pools, name: replace(host.pools[name], volumes=None)})


def _until(round_: Round, slowest: float, usual: float | None) -> float:
    """How long (monotonic time) a host is waited for, when the slowest that answered took `slowest`."""
    if usual is None:
        return round_.begun + slowest + max(GRACE, slowest)
    return round_.dialled_at + 2 * max(slowest, usual) + _MARGIN


def _local_pools(desired: DesiredState, host: str) -> tuple[str, ...]:
    labels = desired.hosts[host].metadata.labels
    return tuple(
        name for name, pool in desired.pools.items() if not pool.spec.shared and pool.spec.hosts.matches(host, labels)
    )

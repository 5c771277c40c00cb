"""An etcd in memory, in simulated time: leases that end, members that can't be reached, backups that are put back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from msgspec import Struct, field

from reconciler.clock import Clock
from reconciler.errors import StoreUnavailable
from reconciler.leadership.store import Change, Guard, Item, Position, Reading, Written


class _Stored(Struct, frozen=True):
    value: str
    created: int
    changed: int
    lease: int


class _Lease(Struct):
    seconds: int
    ends: float


class Backup(Struct, frozen=True):
    """What a snapshot holds."""

    position: Position
    values: dict[str, _Stored]


class SimulatedCluster(Struct):
    """What the majority holds."""

    clock: Clock
    cluster: str = "c1"
    revision: int = 1
    is_down: bool = False
    """No majority: nobody is answered, and no lease ends."""
    values: dict[str, _Stored] = field(default_factory=dict)
    leases: dict[int, _Lease] = field(default_factory=dict)
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def position(self) -> Position:
        return Position(self.cluster, self.revision)

    def expire(self) -> None:
        """End leases whose time has come, and what hangs on them."""
        now = self.clock.monotonic()
        for lease in [lease for lease, held in self.leases.items() if held.ends <= now]:
            self.end(lease)

    def end(self, lease: int) -> None:
        """End a lease, and what hangs on it."""
        self.leases.pop(lease, None)
        gone = [key for key, stored in self.values.items() if stored.lease == lease]
        for key in gone:
            del self.values[key]
        self.revision += bool(gone)

    def stop(self) -> None:
        """Its majority is gone."""
        self.expire()
        self.is_down = True

    def start(self) -> None:
        """Its majority is back; every lease begins anew, as with etcd's new leader."""
        self.is_down = False
        for lease in self.leases.values():
            lease.ends = self.clock.monotonic() + lease.seconds

    def reading(self, prefix: str) -> Reading:
        """What is below `prefix`, whether anybody can be reached or not."""
        items = tuple(
            Item(key, stored.value, stored.created, stored.changed)
            for key, stored in sorted(self.values.items())
            if key.startswith(prefix)
        )
        return Reading(self.position, items)

    def backup(self) -> Backup:
        """Whatever there is now, leases apart."""
        self.expire()
        return Backup(self.position, dict(self.values))

    def restore(self, backup: Backup) -> None:
        """Put a backup back, without leases: their time was over long ago."""
        self.leases.clear()
        self.values = {key: stored for key, stored in backup.values.items() if not stored.lease}
        self.cluster, self.revision = backup.position.cluster, backup.position.revision


class SimulatedStore:
    """Implements Store: the way of one controller to the cluster; `is_cut` cuts it."""

    def __init__(self, cluster: SimulatedCluster, name: str = "http://etcd:2379") -> None:
        self._cluster = cluster
        self._name = name
        self.is_cut = False
        self.loses_replies = False
        """The next change is applied, and nobody is told."""
        self.delays_next = False
        """The next change is on its way for long, and nobody is told."""
        self._delayed: tuple[Guard, Sequence[Change]] | None = None

    @property
    def name(self) -> str:
        return self._name

    def read(self, prefix: str) -> Reading:
        return self._reached().reading(prefix)

    def change(self, guard: Guard, changes: Sequence[Change]) -> Written:
        cluster = self._reached()
        if self.delays_next:
            self.delays_next = False
            self._delayed = (guard, changes)
            raise self._unavailable()
        stored = cluster.values.get(guard.key)
        held = (stored.changed if stored is not None else 0) == guard.changed
        if held and changes:
            self._apply(changes)
        if self.loses_replies:
            self.loses_replies = False
            raise self._unavailable()
        return Written(held, cluster.position)

    def arrive(self) -> Written | None:
        """What was delayed arrives now."""
        delayed, self._delayed = self._delayed, None
        return self.change(*delayed) if delayed is not None else None

    def _apply(self, changes: Sequence[Change]) -> None:
        cluster = self._cluster
        is_change = any(change.value is not None or change.key in cluster.values for change in changes)
        cluster.revision += is_change
        for change in changes:
            known = cluster.values.pop(change.key, None)
            if change.value is not None:
                created = known.created if known is not None else cluster.revision
                cluster.values[change.key] = _Stored(change.value, created, cluster.revision, change.lease)

    def grant(self, seconds: int) -> int:
        cluster = self._reached()
        lease = next(cluster.ids)
        cluster.leases[lease] = _Lease(seconds, cluster.clock.monotonic() + seconds)
        return lease

    def keep_alive(self, lease: int) -> float:
        held = self._reached().leases.get(lease)
        if held is None:
            return 0.0
        held.ends = self._cluster.clock.monotonic() + held.seconds
        return held.seconds

    def revoke(self, lease: int) -> None:
        self._reached().end(lease)

    def close(self) -> None:
        """Nothing is held."""

    def _reached(self) -> SimulatedCluster:
        if self.is_cut or self._cluster.is_down:
            raise self._unavailable()
        self._cluster.expire()
        return self._cluster

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"etcd at {self._name} does not answer: connection refused",
            hint="start it, or look at the network between; VMs run on meanwhile, and nothing is changed",
        )

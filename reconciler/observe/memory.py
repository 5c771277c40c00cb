"""What the last full reading of each host said, and whether two cheap calls can vouch for it."""

from __future__ import annotations

import threading

from msgspec import Struct
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import HostError
from reconciler.hypervisor.interface import DomainSummary, Hypervisor
from reconciler.model.inventory import HostInventory, ObservedPool


class _Known(Struct, frozen=True):
    """A full reading: of which URI, with the volumes of which pools, begun when (monotonic)."""

    inventory: HostInventory
    uri: str
    pools: tuple[str, ...]
    begun: float
    number: int
    """Tells one reading of the host from the next, also where the clock stands still."""


class HostMemory:
    """Full readings by host; safe to use from the threads that read different hosts.

    libvirt tells of most changes by an event, of state changes by the sweep, and of some (`virsh … --config`) not at
    all: those are found when a reading has become too old.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._touched: set[str] = set()
        self._touches: dict[str, int] = {}
        self._shared: dict[str, tuple[int, ObservedPool]] = {}
        self._readings = 0

    def touch(self, host: str) -> None:
        """The host has to be read in full the next time."""
        with self._lock:
            self._touched.add(host)
            self._touches[host] = self.touches(host) + 1

    def touches(self, host: str) -> int:
        """How often the host was touched so far: what was read of it while that grew may be of before."""
        return self._touches.get(host, 0)

    def read(
        self, host: Hypervisor, uri: str, pools: tuple[str, ...], *, refresh: bool, resync_after: float
    ) -> HostInventory:
        """The host as it is: swept where that is enough, else read in full. Raises HostError."""
        begun = self._clock.monotonic()
        with self._lock:
            # Forgotten before reading: what happens meanwhile touches it again.
            touched = host.name in self._touched
            self._touched.discard(host.name)
            known = self._known.get(host.name)
        young = known is not None and (known.uri, known.pools) == (uri, pools) and begun - known.begun < resync_after
        try:
            if known is not None and young and not touched and not refresh and _same(known.inventory, host.sweep()):
                return replace(known.inventory, observed_at=self._clock.now())
            inventory = host.read(pools_with_volumes=pools, refresh=refresh)
        except HostError:
            self.touch(host.name)
            raise
        with self._lock:
            self._readings += 1
            self._known[host.name] = _Known(inventory, uri, pools, begun, self._readings)
        return inventory

    def shared_pool(self, pool: str, reader: HostInventory) -> ObservedPool | None:
        """The volumes of a shared pool as `reader` was last asked for them, if its last full reading still stands."""
        with self._lock:
            known, kept = self._known.get(reader.name), self._shared.get(pool)
        return kept[1] if kept is not None and known is not None and kept[0] == known.number else None

    def keep_shared_pool(self, observed: ObservedPool, reader: HostInventory) -> None:
        """Remember the volumes that were read through `reader` after its full reading."""
        with self._lock:
            known = self._known.get(reader.name)
            if known is not None:
                self._shared[observed.name] = (known.number, observed)


def _same(inventory: HostInventory, sweep: tuple[DomainSummary, ...]) -> bool:
    before = {(d.name, d.uuid, d.state, d.reason, d.persistent) for d in inventory.domains.values()}
    return before == {(d.name, d.uuid, d.state, d.reason, d.persistent) for d in sweep}

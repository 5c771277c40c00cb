"""What `status` tells: health (does it run?) apart from sync (is it as in the specs?)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model.drill import DrillResult
from reconciler.model.health import DEVICE_DOUBTFUL, HostState
from reconciler.model.ledger import Migration
from reconciler.model.plan import Unmet
from reconciler.model.revision import Revision, SourceState
from reconciler.model.tombstone import TombstoneKind

VmHealth = Literal["running", "stopped", "paused", "crashed", "starting", "missing", "not-answering", "unknown"]
HostCondition = HostState | Literal["degraded"]
"""`degraded`: it answers, and takes long for it. That is for people: what may be done with it is as for `online`."""
Sync = Literal["in-sync", "out-of-sync", "restart-pending", "blocked", "unknown"]


class Drain(Struct, frozen=True):
    """How far a host in maintenance is emptied."""

    left: int
    """VMs of ours that run there still, are on their way there or from there, or are off and to be moved now."""
    stuck: int
    """How many of them no other host takes, or may not be moved."""
    strangers: int
    """Guests that run there and are none of ours: they are left to people."""
    at_work: bool
    """Whether something is being done on it."""
    off: int = 0
    """VMs of ours that are off and stay on it."""

    @property
    def is_safe(self) -> bool:
        """Whether nothing is lost if its power goes off now."""
        return not (self.left or self.strangers or self.at_work)


class HostStatus(Struct, frozen=True):
    """One host; sizes in bytes, `None` where the host could not be read."""

    name: str
    health: HostCondition
    """As the controller that watches judges it; where none does, `online` for a host that was read."""
    state: str
    """`active`, `cordoned` or `maintenance`, as in the specs."""
    message: str
    """Why the health is what it is; empty for one that just answers."""
    observed_at: float | None
    memory_total: int | None
    memory_promised: int | None
    cpus: int | None
    vcpus_promised: int | None
    vms: int | None
    unmanaged: int | None
    since: float | None = None
    """Wall time since when it has that health, as far as a controller watches."""
    rule: str = ""
    """Name of the rule that the health follows from."""
    incident: str = ""
    """Id of the open incident."""
    is_proven: bool = False
    """Whether it is proven that the host can't be running its VMs."""
    is_held: bool = False
    """Whether it, or the whole fleet, is paused: nothing on it is changed, and it is not fenced."""
    armed: bool | None = None
    """Whether its fence devices passed their test as they are now; None where it has none."""
    drain: Drain | None = None
    """How far it is emptied; None unless it is in maintenance and was read."""
    vcpus_allowed: int | None = None
    """Virtual CPUs that may be promised, with overcommit and without what is reserved."""
    is_out_of_service: bool = False
    """In maintenance, out of sight, and by the ledger without a VM of the fleet: a planned outage."""

    @property
    def condition(self) -> str:
        """Its health in one word; `out-of-service` where nobody misses it."""
        return "out-of-service" if self.is_out_of_service else self.health

    @property
    def well(self) -> bool:
        """It answers, and would be fenced where it has a device for that; or nobody misses it."""
        if self.is_out_of_service:
            return True
        is_armed = self.armed is None or (self.armed and not self.is_held)
        return self.health == "online" and self.rule != DEVICE_DOUBTFUL and is_armed


class VmStatus(Struct, frozen=True):
    """One VM of the specs, or one of ours that left them."""

    name: str
    host: str | None
    health: VmHealth
    state: str
    """libvirt's word; `unknown` where it is out of sight, empty where there is no domain."""
    sync: Sync
    restart_pending: bool
    revision: str
    """Generation that was last applied to it."""
    since: float | None
    """Wall time of its placement."""
    message: str
    unmet: tuple[Unmet, ...] = ()
    is_held: bool = False
    """Whether it, or the whole fleet, is paused: nothing of it is changed."""
    migration: Migration | None = None
    """Where from and where to it is on its way, and how far it is."""


class HostVerdict(Struct, frozen=True):
    """Whether one host takes a VM as it runs."""

    host: str
    obstacle: str
    """Why not; empty if it does."""


class VmMobility(Struct, frozen=True):
    """Where one VM could go now."""

    vm: str
    host: str
    """Where it is."""
    verdicts: tuple[HostVerdict, ...]
    """Of all other hosts, in order."""
    local_disks: tuple[str, ...]
    """Disks that no other host sees: copies of them go along."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Hosts that take it."""
        return tuple(verdict.host for verdict in self.verdicts if not verdict.obstacle)


class ImageStatus(Struct, frozen=True):
    """One image; size in bytes."""

    name: str
    sync: Sync
    digest: str | None
    virtual_size: int | None
    pools: tuple[str, ...]
    """Pools that hold a complete base, or versions."""
    message: str
    drill: DrillResult | None = None
    """How the last drill of a captured image ended."""
    versions: int | None = None
    """How many there are of an image that is captured from a VM; None for any other."""
    newest: str = ""
    """Name of the newest, empty where there is none."""
    newest_at: float | None = None
    """When it was taken; wall time in seconds."""
    stored: int = 0
    """Bytes of all versions together."""


class FacilityStatus(Struct, frozen=True):
    """One storage pool or network, on all its hosts."""

    name: str
    sync: Sync
    """`unknown` where none of its hosts could be read."""
    hosts: tuple[str, ...]
    """Hosts that the specs give it to."""
    message: str


class TombstoneStatus(Struct, frozen=True):
    """What is kept of a VM that was removed, or of a disk that was replaced; wall times and spans in seconds."""

    vm: str
    kind: TombstoneKind
    since: float
    left: float
    """Until it may be deleted for good; 0 if it may be now."""
    host: str
    pools: tuple[str, ...]
    disks: tuple[str, ...]
    size: int | None
    """Bytes that it takes up; None where that can't be seen now."""
    message: str


class FleetStatus(Struct, frozen=True):
    """Everything `status` shows."""

    fleet: str
    generation: str
    at: float
    hosts: tuple[HostStatus, ...]
    vms: tuple[VmStatus, ...]
    images: tuple[ImageStatus, ...]
    problems: tuple[str, ...]
    """Sentences about the whole fleet, worst first."""
    controller: str = ""
    """Who holds the state directory, if anybody."""
    is_held: bool = False
    """Whether the fleet as a whole is paused."""
    pools: tuple[FacilityStatus, ...] = ()
    networks: tuple[FacilityStatus, ...] = ()
    tombstones: tuple[TombstoneStatus, ...] = ()
    """What is kept for a while, the first to go first."""
    mobility: tuple[VmMobility, ...] = ()
    """Where VMs could go, if that was asked for."""
    revision: Revision | None = None
    """The commit that the specs are, or were made from."""
    source: SourceState | None = None
    """How the repository is followed; None where the specs are a directory."""

    @property
    def healthy(self) -> bool:
        """Everything runs as it should, is in sync, and hosts with fence devices would be fenced."""
        return (
            not self.problems
            and all(host.well for host in self.hosts)
            and all(facility.sync in ("in-sync", "unknown") for facility in (*self.pools, *self.networks))
            and all(vm.sync == "in-sync" and vm.health in ("running", "stopped") for vm in self.vms)
        )

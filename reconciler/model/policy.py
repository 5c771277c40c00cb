"""Fleet-wide policy out of the controller's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from reconciler.model.approval import ApprovedDisruption
from reconciler.model.migration import Compression, Fallback, MigrationRules
from reconciler.model.quantities import Duration, Size
from reconciler.model.resource import Model, Name
from reconciler.model.windows import Windows

DEFAULT_FENCE_AGENTS: Final = (
    "fence_apc_snmp",
    "fence_idrac",
    "fence_ilo4",
    "fence_ilo5",
    "fence_ipmilan",
    "fence_redfish",
    "fence_virsh",
    "fence_xvm",
)
# Seconds between probes, until suspect, until unreachable.
_PROFILES: Final[Mapping[str, tuple[float, float, float]]] = {"safe": (1.0, 2.0, 6.0), "fast": (0.5, 1.0, 1.5)}


def _asks_guests(seconds: float) -> float:
    if seconds < 1:
        raise ValueError("guests would be forced off without being asked; write 1s or longer")
    return seconds


def _lasts_a_minute(seconds: float) -> float:
    if seconds < 60:
        raise ValueError("write 1m or longer; disks of VMs with deletionPolicy: delete are not kept at all")
    return seconds


def _a_minute_to_a_week(seconds: float) -> float:
    if not 60 <= seconds <= 7 * 86400:
        raise ValueError("write 1m to 7d")
    return seconds


def _in_a_second(value: object) -> object:
    """`100MiB/s` is what `100MiB` is here."""
    return value.removesuffix("/s") if isinstance(value, str) else value


def _a_mebibyte(value: int | None) -> int | None:
    if value is not None and value < 1 << 20:
        raise ValueError("libvirt counts in MiB a second; write 1MiB/s or more, such as 100MiB/s")
    return value


def _moves_at_all(seconds: float) -> float:
    if seconds < 1:
        raise ValueError("every move would be given up at once; write 1s or longer")
    return seconds


def _absolute(value: str) -> str:
    if value.startswith("/"):
        return value
    raise ValueError(f"{value!r} is not an absolute path")


def _listed(value: object) -> object:
    """A list, or as one text with colons, the way environment variables hold paths."""
    if isinstance(value, str):
        return tuple(part for part in value.split(":") if part)
    return tuple(value) if isinstance(value, list) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Folders = Annotated[tuple[Annotated[str, AfterValidator(_absolute)], ...], BeforeValidator(_listed)]


PlainSecrets = Literal["warn", "refuse"]


class Limits(Model):
    """How much is done at once."""

    actions_per_fleet: int = Field(default=64, ge=1)
    """Actions in flight at once in the fleet."""
    actions_per_host: int = Field(default=4, ge=1)
    """Actions in flight at once on one host."""
    starts_per_host: int = Field(default=4, ge=1)
    """VMs started at once on one host."""


class Probing(Struct, frozen=True):
    """How hosts are watched, in seconds."""

    interval: float
    suspect_after: float
    unreachable_after: float


class HighAvailability(Model):
    """When a host is taken for lost, and what is done about it."""

    profile: Literal["safe", "fast"] = "safe"
    """`fast` shortens the waits that are not set here: for fleets whose network does not blink."""
    probe_interval: Duration | None = None
    """Time between two looks at whether a host is alive; 1 s (fast: 0.5 s)."""
    suspect_after: Duration | None = None
    """Silence after which a host is suspect, and its fence device is asked; 2 s (fast: 1 s)."""
    unreachable_after: Duration | None = None
    """Silence after which a host is unreachable and may be fenced; 6 s (fast: 1.5 s)."""
    quiet_period: Duration = 60.0
    """Time after the controller's start in which nobody is fenced and nothing is recovered."""
    steady_answers: int = Field(default=3, ge=1)
    """Answers in a row after which a host that was suspect is online again."""
    max_bad_share: Annotated[float, Field(gt=0, le=1, strict=False)] = 0.34
    """No host is fenced while this share of the hosts or more is bad at once; of three or fewer, more than one."""
    fence_timeout: Duration = 60.0
    """How long one fence agent may take; longer is a failure."""
    fence_agents: Names = DEFAULT_FENCE_AGENTS
    """Agents that specs may name; a list of one's own replaces this one."""
    agent_directory: str = "/usr/sbin"
    """Where the agents are; nothing else is ever run."""
    max_restarts: int = Field(default=5, ge=1, le=100)
    """Restarts within `restartWindow` after which a VM that ends by itself again and again is left alone."""
    restart_window: Duration = 600.0
    """How long such a VM is left alone; one that runs for so long is counted anew."""

    @model_validator(mode="after")
    def _waits_grow(self) -> HighAvailability:
        probing = self.probing
        if not probing.interval < probing.suspect_after < probing.unreachable_after:
            raise ValueError(
                f"probeInterval {probing.interval:g} s, suspectAfter {probing.suspect_after:g} s and unreachableAfter"
                f" {probing.unreachable_after:g} s must each be longer than the one before"
            )
        return self

    @property
    def probing(self) -> Probing:
        """The waits that hold: those of the profile where none are set."""
        interval, suspect, unreachable = _PROFILES[self.profile]
        return Probing(
            interval=interval if self.probe_interval is None else self.probe_interval,
            suspect_after=suspect if self.suspect_after is None else self.suspect_after,
            unreachable_after=unreachable if self.unreachable_after is None else self.unreachable_after,
        )


class Migration(Model):
    """How VMs are moved between hosts while they run."""

    parallel_fleet: int = Field(default=5, ge=1)
    """VMs that are on their way at once in the fleet."""
    parallel_per_source: int = Field(default=2, ge=1)
    """VMs that leave one host at once."""
    bandwidth: Annotated[Size | None, AfterValidator(_a_mebibyte), BeforeValidator(_in_a_second)] = None
    """What one migration may send in a second, such as `100MiB/s`; as much as there is room for when absent."""
    parallel_connections: int = Field(default=1, ge=1, le=64)
    """TCP connections of one migration; more than one helps above 10 Gbit/s."""
    auto_converge: bool = True
    """Whether QEMU slows a guest down that writes faster than its memory can be sent."""
    compression: Compression = "off"
    """`xbzrle` sends of memory that a guest has written to once more what has changed of it: for guests that write a
    lot over slow links, and not with `parallelConnections`. Costs CPU, and 64 MiB of the source's memory."""
    tls: bool = False
    """Whether memory and disks are encrypted on their way; every host needs certificates for that, see OPERATIONS."""
    post_copy: bool = False
    """Whether a guest that writes faster than its memory can be sent is run at its target before all of it is there;
    only for VMs on shared disks. While the network between the hosts is down in that time the guest stands still, and
    if one of them is lost so is the guest, as by a power cut: see OPERATIONS."""
    deadline_per_gib: Duration = 60.0
    """How long a migration may take for each GiB of memory and of local disks."""
    deadline_floor: Annotated[Duration, AfterValidator(_moves_at_all)] = 120.0
    """How long it may take at the least."""
    stall_after: Annotated[Duration, AfterValidator(_moves_at_all)] = 30.0
    """Time without a byte sent after which it is given up."""
    fallback: Fallback = "abort"
    """What is done at the deadline: `abort` leaves the VM where it is and tries again later; `pause` has the guest
    stand still until it is there, for as long as one deadline more, and gives up then; `cold` gives up, shuts the guest
    down as its spec says and starts it on the other host, which `plan` shows as `reboot` from the start: for VMs on
    shared disks that are run again by their `runStrategy`, and never for balance or failback."""

    @model_validator(mode="after")
    def _goes_together(self) -> Migration:
        if self.compression != "off" and self.parallel_connections > 1:
            raise ValueError(
                f"compression: {self.compression} has no effect over several connections; leave it off, or set"
                " parallelConnections to 1"
            )
        if self.post_copy and self.parallel_connections > 1:
            raise ValueError("postCopy does not work over several connections; set parallelConnections to 1")
        if self.post_copy and self.fallback == "pause":
            raise ValueError("fallback: pause is of no use beside postCopy, which comes before it; write abort or cold")
        return self

    def rules(self, size: int) -> MigrationRules:
        """What holds for a VM with `size` bytes of memory and local disks."""
        return MigrationRules(
            deadline=max(self.deadline_floor, self.deadline_per_gib * size / (1 << 30)),
            stall_after=self.stall_after,
            fallback=self.fallback,
            bandwidth=self.bandwidth or 0,
            connections=self.parallel_connections,
            auto_converge=self.auto_converge,
            compression=self.compression,
            tls=self.tls,
            post_copy=self.post_copy,
        )


class Balance(Model):
    """Whether VMs are moved only to even out what hosts have promised."""

    enabled: bool = False
    """Nothing is moved for balance unless this is on."""
    threshold: Annotated[float, Field(gt=0, lt=1, strict=False)] = 0.2
    """Nothing is moved while the fullest and the emptiest host are no further apart: shares of the memory, or of the
    CPUs, that they may promise."""
    min_gain: Annotated[float, Field(gt=0, lt=1, strict=False)] = 0.005
    """By how much a move has to bring the fuller of its two hosts down, in the same shares: VMs that are a lesser share
    of a host stay."""
    cooldown: Duration = 3600.0
    """How long a VM stays where it was put before it is moved for balance."""
    moves_per_hour: int = Field(default=6, ge=1)
    """VMs that are moved for balance within an hour; moves for other reasons count too."""


class Capture(Model):
    """How VMs are captured into images."""

    parallel_fleet: int = Field(default=4, ge=1)
    """VMs that are captured at once in the fleet; the others wait, who was due first goes first."""
    parallel_per_host: int = Field(default=1, ge=1)
    """VMs of one host that are captured at once."""


class MassDeletionRule(Model):
    """How many VMs may be deleted at once without a human's word."""

    share: Annotated[float, Field(gt=0, le=1, strict=False)] = 0.1
    """More than this share of the VMs that there are is held until `accept-deletions`; a single VM never is."""
    count: int = Field(default=5, ge=1)
    """So are more than this many, whichever is fewer."""


class RateLimit(Model):
    """How fast VMs are disrupted on purpose."""

    disruptions: int | None = Field(default=None, ge=1)
    """At most so many VMs are shut down, rebuilt or removed within `per`; any number when absent. Recovery from
    failures neither waits nor counts."""
    per: Annotated[Duration, AfterValidator(_a_minute_to_a_week)] = 600.0
    """See `disruptions`."""


class Policy(Model):
    """Decisions that hold for the whole fleet."""

    fleet: Name = "default"
    """Name of the fleet: part of every UUID, MAC and volume name, so never changed later."""
    shutdown_timeout: Annotated[Duration, AfterValidator(_asks_guests)] = 120.0
    """How long a guest may take to shut down before it is forced off, where that is allowed; a second at the least."""
    allow_http: bool = False
    """Whether images may be fetched over plain http (their checksum is required either way)."""
    allow_private_addresses: bool = False
    """Whether images may be fetched from loopback, link-local and private addresses."""
    image_directories: Folders = ()
    """Folders on the controller that images named by `path` must be in, links followed; anywhere where none is named.
    Name some where people who may not read the controller's files write specs."""
    max_image_size: int = Field(default=1 << 40, ge=1 << 20)
    """Largest image that is fetched or inspected, in bytes."""
    limits: Limits = Limits()
    """How much is done at once."""
    host_failures_to_tolerate: int = Field(default=0, ge=0)
    """Hosts that may fail at once with every HA VM still finding room; `plan` warns where that does not hold."""
    ha: HighAvailability = HighAvailability()
    """When a host is taken for lost, and what is done about it."""
    migration: Migration = Migration()
    """How VMs are moved between hosts while they run."""
    capture: Capture = Capture()
    """How VMs are captured into images."""
    failback: bool = False
    """Whether VMs that were moved away from a host to empty it return to it once it is `active` again."""
    tombstone_retention: Annotated[Duration, AfterValidator(_lasts_a_minute)] = 7 * 86400.0
    """How long disks of removed VMs, and replaced ones, are kept before they are deleted; a minute at the least. Until
    then a VM whose spec is put back has them again."""
    mass_deletion: MassDeletionRule = MassDeletionRule()
    rate_limit: RateLimit = RateLimit()
    """How many VMs may be deleted at once without a human's word: removed, or what was kept of them expired."""
    plain_secrets: PlainSecrets = "warn"
    """Whether plain passwords and private keys in specs are warned of (`warn`) or not used (`refuse`)."""
    require_approval: Annotated[tuple[ApprovedDisruption, ...], BeforeValidator(_listed)] = ()
    """Which disruptions wait for an `Approval` in the specs that names them: any of `reboot`, `rebuild`, `destroy` and
    `data-loss`. Recovery from failures, commands and what is kept for a time only wait for none."""
    windows: Windows = ()
    """Maintenance windows, each `{start, duration, days, timeZone, vms}`: outside them nothing is done on purpose that
    shuts a running VM down, gives it other disks or removes it. Without any that is done at once; recovery from
    failures never waits for one. A VM that a window with `vms: {names, matchLabels}` selects has such windows alone."""
    balance: Balance = Balance()
    """Whether VMs are moved only to even out what hosts have promised."""

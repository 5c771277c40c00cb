"""State of the simulated hosts: what libvirt, the kernel and the disks of each would hold."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import HostError, ReconcilerError
from reconciler.hypervisor.interface import HostEvent
from reconciler.model.abilities import GuestCpu
from reconciler.model.backup import BackupEnd
from reconciler.model.domain import ACTIVE_STATES, DiskConfig, DomainConfig, DomainState
from reconciler.model.inventory import HostFacts, HostInventory, ObservedDomain, ObservedNetwork, ObservedVolume
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain

COMMON_CPU: Final = GuestCpu("custom", "EPYC", "AMD", (("require", "avx2"), ("require", "ibpb")), "full")
MACHINES: Final = ("pc", "pc-i440fx-7.1", "pc-i440fx-7.2", "pc-q35-7.1", "pc-q35-7.2", "q35")
Phase = Literal["before", "during", "after"]


class MutatingCall(Struct, frozen=True):
    """A call that changes a host; `target` names the object."""

    host: str
    method: str
    target: str


MutationHook = Callable[[MutatingCall, Phase], None]
"""Called around each mutating call; raising from it cuts the caller off there, as kill -9 would."""


class SimulatedCrashError(BaseException):
    """The controller was killed here; no handler of ordinary errors may catch it."""


class FileState(Struct):
    """A file of a pool; sizes in bytes."""

    format: str
    capacity: int
    allocation: int
    mode: int
    backing_path: str | None = None
    header: bytes = b""
    """First bytes that were uploaded, all of a small file: what probing sees, and in an image the guest's data."""
    written: int = 0


class DirectoryState(Struct):
    """A file system; hosts that share it hold the same object."""

    capacity: int
    files: dict[str, FileState] = field(default_factory=dict)

    @property
    def available(self) -> int:
        return max(0, self.capacity - sum(file.allocation for file in self.files.values()))


class PoolState(Struct):
    """A pool of one host; `seen` is what that libvirtd believes is in it, stale until it refreshes."""

    name: str
    uuid: str
    type: str
    target: str
    active: bool = False
    autostart: bool = False
    seen: dict[str, ObservedVolume] = field(default_factory=dict)


class BackupState(Struct):
    """A copy of a running domain's disks under way; bytes, and monotonic seconds."""

    content: dict[str, bytes]
    """By path of the file: what it holds once all is copied."""
    total: int
    at: float
    """When it was last brought up to date."""
    rate: float
    was_frozen: bool
    done: float = 0.0


class DomainEntry(Struct):
    """A domain of one host."""

    config: DomainConfig
    persistent: bool = True
    live: DomainConfig | None = None
    state: DomainState = "shutoff"
    reason: str = "unknown"
    """libvirt's reason for the state, as the driver puts it into words."""
    unowned: str = ""
    """What people put into the XML that a spec doesn't express."""
    restricted: tuple[str, ...] = ()
    off_at: float | None = None
    """When the guest will have shut down, in monotonic seconds."""
    crash_at: float | None = None
    """When the guest will crash, in monotonic seconds."""
    boots: int = 0
    cpu: GuestCpu | None = None
    """What the running guest has."""
    is_incoming: bool = False
    """It waits for a guest that runs elsewhere and has none of its disks open: that has yet to come, or was here."""
    frozen: bool = False
    """Its guest's file systems stand still."""
    backup: BackupState | None = None
    backup_end: BackupEnd | None = None
    """How the last one went."""
    checkpoints: set[str] = field(default_factory=set)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE_STATES

    def observed(self) -> ObservedDomain:
        identity = hashlib.sha256(repr((self.config, self.unowned, self.restricted)).encode())
        return ObservedDomain(
            name=self.config.name,
            uuid=self.config.uuid,
            state=self.state,
            persistent=self.persistent,
            config=self.config,
            live=replace(self.live, autostart=self.config.autostart) if self.live else None,
            fingerprint=identity.hexdigest()[:16],
            reason=self.reason,
            restricted=self.restricted,
            cpu=self.cpu if self.active else None,
        )


class Leaving(Struct):
    """A migration under way, of which libvirt at the source knows. Bytes, and monotonic seconds."""

    step: MigrateDomain
    size: int
    begun: float
    at: float
    """When it was last brought up to date."""
    sent: float = 0.0
    """Of `size`."""
    done: float = 0.0
    """In all, with what had to be sent again."""
    arrives_at: float | None = None
    """When the guest runs at the target, once all is sent; until then it stands still on both sides."""
    is_switched: bool = False
    """The guest runs at the target, and fetches the rest."""
    ended: bool = False
    error: HostError | None = None


class Faults(Struct):
    """What is wrong with a host now."""

    powered: bool = True
    linked: bool = True
    hung: bool = False
    delay: float = 0.0
    """Seconds that every call takes."""
    lost_replies: list[str] = field(default_factory=list)
    """Methods whose next call is applied and then times out."""
    failures: list[tuple[str, ReconcilerError]] = field(default_factory=list)
    """Methods whose next call is not applied and raises this."""
    stale: HostInventory | None = None
    """Answer of every `read` while it is set."""


class HostState(Struct):
    """One host."""

    name: str
    facts: HostFacts
    disk_capacity: int
    faults: Faults = field(default_factory=Faults)
    directories: dict[str, DirectoryState] = field(default_factory=dict)
    pools: dict[str, PoolState] = field(default_factory=dict)
    networks: dict[str, ObservedNetwork] = field(default_factory=dict)
    domains: dict[str, DomainEntry] = field(default_factory=dict)
    """By UUID."""
    answered_at: float | None = None
    """When it last answered whoever asked whether it lives, in monotonic seconds."""
    shutdown_seconds: float = 2.0
    """How long a guest takes to shut down."""
    deaf_guests: set[str] = field(default_factory=set)
    """Names of guests that ignore a request to shut down."""
    cpu: GuestCpu = COMMON_CPU
    """What `host-model` comes to."""
    machines: tuple[str, ...] = MACHINES
    call_seconds: float = 0.0
    """How long a call that changes something takes."""

    def directory(self, path: str) -> DirectoryState:
        return self.directories.setdefault(path, DirectoryState(self.disk_capacity))

    def file(self, path: str) -> FileState | None:
        """The file at the absolute `path`; None if there is none."""
        folder, _, name = path.rpartition("/")
        directory = self.directories.get(folder)
        return directory.files.get(name) if directory else None

    def by_name(self, name: str) -> DomainEntry | None:
        return next((entry for entry in self.domains.values() if entry.config.name == name), None)


class World:
    """Every simulated host, what was done to them, and what must never have happened."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.hosts: dict[str, HostState] = {}
        self.exports: dict[tuple[str, str], DirectoryState] = {}
        """NFS exports by server and directory."""
        self.calls: list[MutatingCall] = []
        self.violations: list[str] = []
        self.crashing_guests: dict[str, float] = {}
        """Names of guests that crash, wherever they run, and how many seconds after each start."""
        self.leaving: dict[str, Leaving] = {}
        """By UUID."""
        self.arrived: dict[str, MigrationJob] = {}
        """By UUID: how the last migration of each went."""
        self.switch_seconds = 0.2
        """How long a guest stands still at the end of its migration."""
        self.migration_rate = float(1 << 30)
        """Bytes that one migration sends in a second."""
        self.backup_rate = float(1 << 30)
        """Bytes that one copy of a running domain's disks writes in a second."""
        self.stalled: set[str] = set()
        """Names of VMs of which no byte is sent."""
        self.restless: set[str] = set()
        """Names of guests that write as fast as their memory is sent."""
        self.on_mutation: MutationHook | None = None
        self.subscribers: list[Callable[[HostEvent], None]] = []

    def emit(self, host: str, kind: str, target: str, detail: str) -> None:
        """Tell of it, unless nobody could hear the host."""
        faults = self.hosts[host].faults
        if not (faults.powered and faults.linked) or faults.hung:
            return
        for subscriber in tuple(self.subscribers):
            subscriber(HostEvent(host, kind, target, detail))

    def active_domains(self) -> Iterator[tuple[HostState, DomainEntry]]:
        """Every domain that runs, wherever it is; one that is on its way does so at its source."""
        for host in self.hosts.values():
            for entry in host.domains.values():
                if entry.active and not entry.is_incoming:
                    yield host, entry

    def writers(self, file: FileState) -> Iterator[tuple[HostState, DomainEntry]]:
        """Every running domain that has `file` open for writing."""
        for host, entry in self.active_domains():
            disks: tuple[DiskConfig, ...] = entry.live.disks if entry.live else ()
            if any(not disk.read_only and host.file(disk.path) is file for disk in disks):
                yield host, entry

    def users(self, file: FileState) -> Iterator[str]:
        """Name of every domain that refers to `file`, running or not."""
        for host in self.hosts.values():
            for entry in host.domains.values():
                disks = (*entry.config.disks, *(entry.live.disks if entry.live else ()))
                if any(host.file(disk.path) is file for disk in disks):
                    yield entry.config.name

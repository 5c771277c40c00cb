"""The only door to hosts: one `Hypervisor` a host, the same for libvirt and for the simulated fleet.

Every method blocks its calling thread for at most the deadline that the implementation was made with, may be called
from several threads at once, and raises only errors of `reconciler.errors` that carry the host (and the object):
HostUnreachable, HostTimeout, HostBusy, ObjectNotFound, ObjectConflict, NoSpace, HostRefused.
After HostTimeout the caller must read before it acts again: the call may have been applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, Protocol

from msgspec import Struct

from reconciler.errors import HostError
from reconciler.hypervisor.console import Console
from reconciler.model.abilities import CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.backup import BackupDisk, BackupEnd, BackupJob
from reconciler.model.domain import DomainConfig, DomainState
from reconciler.model.inventory import DomainText, HostInventory, ObservedDomain, ObservedPool, ObservedVolume
from reconciler.model.live_edit import LiveEdit
from reconciler.model.migration import MigrationJob
from reconciler.model.steps import MigrateDomain, NetworkConfig, PoolConfig

Progress = Callable[[int], None]
"""Called with bytes done since the last call; may raise to cancel."""


class Sink(Protocol):
    """What is downloaded goes there."""

    def write(self, chunk: bytes, /) -> object: ...


class DomainSummary(Struct, frozen=True):
    """What the cheap sweep tells of a domain."""

    name: str
    uuid: str
    state: DomainState
    reason: str
    """As in ObservedDomain."""
    persistent: bool


class HostEvent(Struct, frozen=True):
    """Something happened on a host: only a reason to look again, never a fact to act on."""

    host: str
    kind: str
    """`domain`, `pool`, `network`, `connected`, `disconnected`."""
    target: str
    detail: str


class Pulse(Struct, frozen=True):
    """Whether a host lives, as far as is known at once."""

    answered_at: float | None
    """Monotonic time of the last answer to any call, connecting included; None if there was none."""
    took: float
    """Seconds that the last cheap call took, or has been waiting."""
    error: str
    """Why it can't be asked now; empty while it is connected."""


class MigrationCall(Protocol):
    """A migration that this process has begun; where it is followed by another one, there is only the job."""

    @property
    def ended(self) -> bool:
        """Whether libvirt has answered; never waits."""
        ...

    @property
    def error(self) -> HostError | None:
        """What it answered; None while it lasts, and where it says that the VM has arrived."""
        ...

    @property
    def is_answered(self) -> bool:
        """Whether its source has done with it; not so where all that ended is our connection to that."""
        ...


class Hypervisor(Protocol):
    """One host."""

    @property
    def name(self) -> str:
        """Name of the Host spec."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the host has answered by connecting, as far as is known; never waits."""
        ...

    # -- life signs ------------------------------------------------------------------------------------------------
    def pulse(self) -> Pulse:
        """Ask something cheap, or connect, unless that is under way; tell what is known so far. Never waits."""
        ...

    def ping(self, seconds: float) -> None:
        """Have the host answer something cheap within `seconds`; one question at a time, however many ask.

        Raises HostUnreachable, or HostTimeout: whether it lives is not known then.
        """
        ...

    # -- reading ---------------------------------------------------------------------------------------------------
    def read(self, *, pools_with_volumes: Iterable[str] = (), refresh: bool = False) -> HostInventory:
        """Everything of the host; parses only XML whose hash changed since the last read.

        Volumes are listed for `pools_with_volumes` only; `refresh` has libvirt look at the storage itself first.
        """
        ...

    def sweep(self) -> tuple[DomainSummary, ...]:
        """Name, UUID and state of every domain, in two calls."""
        ...

    def domain(self, uuid: str) -> ObservedDomain:
        """One domain, read afresh."""
        ...

    def domain_by_name(self, name: str) -> ObservedDomain | None:
        """One domain by its name, read afresh; None if the host surely has none."""
        ...

    def describe_domain(self, uuid: str) -> DomainText:
        """What libvirt has of one domain, also what no spec expresses; raises ObjectNotFound."""
        ...

    def domain_state(self, uuid: str) -> DomainState:
        """State of one domain."""
        ...

    def pool(self, name: str, *, refresh: bool = False) -> ObservedPool:
        """One pool with its volumes, read afresh."""
        ...

    def volume(self, pool: str, volume: str) -> ObservedVolume | None:
        """One volume; None if the pool surely has none of that name."""
        ...

    # -- what it can do --------------------------------------------------------------------------------------------
    def abilities(self) -> HostAbilities:
        """Machine types and CPUs that its hypervisor has for guests, without answers; they seldom change."""
        ...

    def cpu_lacks(self, question: CpuQuestion) -> str:
        """What the host lacks to run a guest with that CPU; empty if nothing, as far as its libvirt can tell."""
        ...

    def cpu_baseline(self, cpus: Sequence[GuestCpu], domain_type: str) -> GuestCpu | None:
        """The best CPU that hosts with `cpus` all have; None where libvirt's driver can't say.

        Raises HostRefused where they have nothing in common.
        """
        ...

    # -- pools and networks ----------------------------------------------------------------------------------------
    def define_pool(self, config: PoolConfig) -> None:
        """Define, build where the type allows it, start, autostart; does what is missing where it was begun before."""
        ...

    def start_pool(self, name: str) -> None:
        """Start a pool; one that is active already is fine."""
        ...

    def set_pool_autostart(self, name: str, *, autostart: bool) -> None: ...

    def define_network(self, config: NetworkConfig) -> None:
        """Define (or redefine ours), start, autostart."""
        ...

    def start_network(self, name: str) -> None:
        """Start a network; one that is active already is fine."""
        ...

    def stop_network(self, name: str) -> None:
        """Stop a network; one that is inactive already is fine."""
        ...

    def undefine_network(self, name: str) -> None:
        """Stop a network and forget it; one that is gone already is fine."""
        ...

    def set_network_autostart(self, name: str, *, autostart: bool) -> None: ...

    # -- volumes ---------------------------------------------------------------------------------------------------
    def create_volume(
        self,
        pool: str,
        volume: str,
        *,
        format: str,
        capacity: int,
        backing: ObservedVolume | None = None,
        mode: int = 0o600,
    ) -> ObservedVolume:
        """Create an empty volume or an overlay on `backing`; capacity in bytes."""
        ...

    def clone_volume(
        self,
        pool: str,
        volume: str,
        *,
        format: str,
        capacity: int,
        source: str,
        source_format: str,
        source_pool: str = "",
    ) -> ObservedVolume:
        """Create a volume as a full copy of volume `source`, at least `capacity` bytes, whatever that one stands on.

        The source is of the same pool, or of `source_pool` of this host. Libvirt reads it in the format that it finds
        in it, which a guest may have written there: DisguisedVolume where that is not `source_format`.
        """
        ...

    def upload_volume(self, pool: str, volume: str, content: BinaryIO, length: int, progress: Progress) -> None:
        """Write `length` bytes into the volume from its start, by a libvirt stream."""
        ...

    def download_volume(
        self, pool: str, volume: str, sink: Sink, progress: Progress, *, offset: int = 0, length: int = 0
    ) -> int:
        """Write what is in the volume's file into `sink`, by a libvirt stream; return how many bytes that were.

        From `offset` on, and `length` bytes of it at the most, or all there is for 0.
        """
        ...

    def grow_volume(self, pool: str, volume: str, capacity: int, *, format: str) -> None:
        """Grow a volume that nobody has open; DisguisedVolume, as above, where it does not pass for `format`."""
        ...

    def delete_volume(self, pool: str, volume: str) -> None:
        """Delete a volume; one that is gone already is fine."""
        ...

    # -- domains ---------------------------------------------------------------------------------------------------
    def define_domain(self, config: DomainConfig) -> None:
        """Define a new domain, or bring an existing one to `config`, keeping all that a spec does not express.

        A running one goes on as it is, but for its mark.
        """
        ...

    def undefine_domain(self, uuid: str, *, keep_nvram: bool) -> None: ...

    def rename_domain(self, uuid: str, name: str) -> None:
        """Give a domain that is off another name; HostRefused for one that runs, or a name that is taken."""
        ...

    def set_autostart(self, uuid: str, *, autostart: bool) -> None: ...

    def start_domain(self, uuid: str) -> None: ...

    def resume_domain(self, uuid: str) -> None: ...

    def request_shutdown(self, uuid: str) -> None:
        """Ask the guest to shut down (agent where it answers, else ACPI); returns at once."""
        ...

    def guest_answers(self, uuid: str) -> bool:
        """Whether the agent in the running guest answers within 5 s; not so where there is none."""
        ...

    def open_console(self, uuid: str) -> Console:
        """Listen to the first serial console of a running domain; who listens already is cut off."""
        ...

    def destroy_domain(self, uuid: str) -> None:
        """Force the domain off; one that is off already is fine."""
        ...

    def grow_disk(self, uuid: str, path: str, capacity: int) -> None:
        """Grow a disk of a running domain; bytes."""
        ...

    def edit_live(self, uuid: str, edit: LiveEdit) -> None:
        """Change a running domain alone, not its definition.

        A guest that is asked to give something up may not have done so yet. HostRefused for a domain that is off, or
        what its machine has no room for.
        """
        ...

    # -- migration -------------------------------------------------------------------------------------------------
    def begin_migration(self, step: MigrateDomain, before: Callable[[], None] = lambda: None) -> MigrationCall:
        """Have the domain, which runs here, go to the target of `step`; returns once that is asked for.

        With `step.cold` it is off, and its definition alone goes; of one that runs, though, a second one is made there.

        `before` is called just before that, and what it raises prevents it.

        It goes on by itself when the caller is gone: libvirt's daemon here does it. Raises what kept it from being
        asked for; whatever it says, only the two hosts know where the domain is afterwards.
        """
        ...

    def migration_job(self, uuid: str) -> MigrationJob | None:
        """How far the domain is that leaves this host; None where it does not, or is gone. Never waits for its end."""
        ...

    def finished_migration(self, uuid: str) -> MigrationJob | None:
        """How the migration went that brought the domain here; None where that is not known any more."""
        ...

    def abort_migration(self, uuid: str) -> None:
        """Have the domain that leaves this host stay, and run on; where none does any more it is fine."""
        ...

    def switch_to_post_copy(self, uuid: str) -> None:
        """Have the guest that leaves this host run at its target, and fetch from here what it lacks of its memory.

        From then on neither half can do without the other. HostRefused where its migration does not allow that.
        """
        ...

    def suspend_domain(self, uuid: str) -> None:
        """Have the guest stand still; one that migrates runs on once it has arrived, or is to stay after all."""
        ...

    # -- copies of running domains ---------------------------------------------------------------------------------
    def freeze_filesystems(self, uuid: str) -> int:
        """Have the guest's agent make its file systems stand still, all of them written out; return how many do.

        HostBusy or HostRefused where there is no agent, or it does not answer: some may stand still all the same.
        """
        ...

    def thaw_filesystems(self, uuid: str) -> int:
        """Have them go on; return how many did. None that stands still is fine; HostBusy where no agent answers."""
        ...

    def begin_backup(
        self, uuid: str, disks: Sequence[BackupDisk], *, checkpoint: str = "", incremental: str = ""
    ) -> None:
        """Copy these disks of a running domain, all as of this instant, into files that are there already.

        It goes on by itself when the caller is gone. With `incremental` only what has changed since that checkpoint is
        copied; `checkpoint` makes one as of the same instant. HostRefused for a domain that is off.
        """
        ...

    def limit_backup(self, uuid: str, bandwidth: int) -> None:
        """Have the copy take no more than `bandwidth` bytes a second; one that is over is fine."""
        ...

    def backup_job(self, uuid: str) -> BackupJob | None:
        """How far the copy is that the domain's disks are being put into; None where there is none."""
        ...

    def finished_backup(self, uuid: str) -> BackupEnd | None:
        """How the last copy went; None where that is not known any more. It does not tell whose it was."""
        ...

    def abort_backup(self, uuid: str) -> None:
        """Have the copy given up; where none is made any more it is fine."""
        ...

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        """Names of the domain's checkpoints, sorted."""
        ...

    def delete_checkpoint(self, uuid: str, name: str) -> None:
        """Delete a checkpoint; one that is gone already is fine."""
        ...

    # -- life ------------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Give the connection and its threads back; never blocks for long."""
        ...


class Fleet(Protocol):
    """Every host by name."""

    def host(self, name: str) -> Hypervisor:
        """The host of that name; raises KeyError for a host that is not of the fleet."""
        ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def update(self, hosts: Mapping[str, str]) -> None:
        """Take up new hosts (name → URI), let go of those that are gone, reconnect those whose URI changed."""
        ...

    def subscribe(self, callback: Callable[[HostEvent], None]) -> None:
        """Have `callback` called, from any thread, whenever a host has something to look at."""
        ...

    def close(self) -> None: ...

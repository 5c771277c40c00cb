"""What an action does, complete to the last value: the executor has nothing left to choose.

Each step carries its preconditions as values (`expect_*`); the executor rechecks them on the host just before acting
and refuses where the world has moved.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model.capture_steps import CaptureImage, ReadVersions
from reconciler.model.domain import DomainConfig
from reconciler.model.drill import DrillDisk
from reconciler.model.image import Image
from reconciler.model.live_edit import LiveEdit
from reconciler.model.migration import DiskCopy, MigrationRules
from reconciler.model.restores import RestoreDisk, SwitchDisks
from reconciler.model.seed_secrets import SeedSecret


class PoolConfig(Struct, frozen=True):
    """A pool to define."""

    name: str
    uuid: str
    type: Literal["dir", "netfs", "logical"]
    target: str
    source_host: str | None = None
    source_dir: str | None = None
    volume_group: str | None = None


class NetworkConfig(Struct, frozen=True):
    """A network to define."""

    name: str
    uuid: str
    mode: Literal["nat", "isolated", "routed", "bridge"]
    bridge: str | None
    subnet: str | None
    dhcp: bool


class SeedContent(Struct, frozen=True):
    """Content of a NoCloud seed; it may hold secrets and is never shown."""

    instance_id: str
    hostname: str
    user_data: str
    network_config: str | None
    secrets: tuple[SeedSecret, ...] = ()
    """What `${secret:NAME}` stands for in the texts, by reference."""
    revision: str = ""

    def __repr__(self) -> str:
        return f"SeedContent(instance_id={self.instance_id!r}, hostname={self.hostname!r}, …)"


class DefinePool(Struct, frozen=True):
    """Define, build if the directory is missing, start and autostart; expects no pool of that name."""

    config: PoolConfig


class StartPool(Struct, frozen=True):
    """Start (if inactive) and set autostart of our own pool."""

    name: str
    start: bool
    autostart: bool


class DefineNetwork(Struct, frozen=True):
    """Define, start and autostart; a `redefine` stops and replaces ours of that name."""

    config: NetworkConfig
    redefine: bool = False


class StartNetwork(Struct, frozen=True):
    """Start (if inactive) and set autostart of our own network."""

    name: str
    start: bool
    autostart: bool


class FetchImage(Struct, frozen=True):
    """Bring the image into the controller's cache, verified and inspected."""

    image: Image


class UploadImage(Struct, frozen=True):
    """Upload a cached image as a base volume, then its marker; an unmarked volume of that name is replaced."""

    image: str
    pool: str
    volume: str
    marker: str
    format: Literal["qcow2", "raw"]


class CreateVolume(Struct, frozen=True):
    """Create a disk; expects no volume of that name unless `replace_partial`. `capacity` in bytes."""

    pool: str
    volume: str
    format: Literal["qcow2", "raw"]
    capacity: int
    base: str | None
    """Volume of the same pool that it starts from."""
    base_format: Literal["qcow2", "raw"] | None
    clone: Literal["linked", "full"]
    replace_partial: bool = False


class GrowVolume(Struct, frozen=True):
    """Grow a volume that no running domain uses; bytes."""

    pool: str
    volume: str
    capacity: int
    format: Literal["qcow2", "raw"]
    """What it was made in: what stands in it is the guest's word."""


class GrowDisk(Struct, frozen=True):
    """Grow a disk of a running domain, the guest sees it at once; bytes."""

    domain: str
    uuid: str
    path: str
    capacity: int


class WriteSeed(Struct, frozen=True):
    """Make the NoCloud seed and upload it, mode 0600; a partial one is replaced."""

    pool: str
    volume: str
    content: SeedContent


class DeleteVolume(Struct, frozen=True):
    """Delete a volume of ours; expects that no domain of the host refers to it."""

    pool: str
    volume: str


class DefineDomain(Struct, frozen=True):
    """Define a new domain; expects neither its name nor its UUID. Records the placement first."""

    config: DomainConfig
    came_from: str | None = None
    """The dead host that it is recovered from."""


class RedefineDomain(Struct, frozen=True):
    """Bring the persistent configuration to `config`, keeping what we don't own; expects the inactive XML unchanged."""

    config: DomainConfig
    expect_fingerprint: str


class AdoptDomain(Struct, frozen=True):
    """Write our mark into a domain that is nobody's, and change nothing else of it but what describes it to people.

    Expects the inactive XML unchanged, and no mark in it. Records the placement first, and which volumes its disks are.
    """

    config: DomainConfig
    expect_fingerprint: str
    volumes: tuple[tuple[str, str], ...]
    """Disk of the spec and volume, of those that were there before."""


class RenameDomain(Struct, frozen=True):
    """Give a domain that is off the name of `config`, whose mark says which VM it is now; nothing else of it changes.

    Expects the inactive XML unchanged, or the new name and not the new mark yet. The ledger follows last: until then
    the domain tells whose it is.
    """

    config: DomainConfig
    domain: str
    """The name that it has."""
    expect_fingerprint: str


class SetAutostart(Struct, frozen=True):
    """Set or clear libvirt's autostart of a domain."""

    domain: str
    uuid: str
    autostart: bool


class StartDomain(Struct, frozen=True):
    """Start a defined domain; expects it off. `resume` unpauses a paused one instead."""

    domain: str
    uuid: str
    resume: bool = False


class StopDomain(Struct, frozen=True):
    """Ask the guest to shut down, wait `timeout` seconds, then force it off if `force`; expects it active."""

    domain: str
    uuid: str
    timeout: float
    force: bool


class KeptParts(Struct, frozen=True):
    """What stays of a VM that is removed; `retention` in seconds."""

    volumes: tuple[tuple[str, str], ...]
    """Pool and name of each."""
    macs: tuple[str, ...]
    nvram: bool
    retention: float


class UndefineDomain(Struct, frozen=True):
    """Undefine a domain that is off; expects our mark and that it is off."""

    domain: str
    uuid: str
    keep_nvram: bool
    keeps: KeptParts | None = None
    """What a tombstone is written for before; None for an old copy, and where the VM's disks go with it."""


class EditLive(Struct, frozen=True):
    """Change the running guest alone; its definition is as it should be already. Expects it to run."""

    domain: str
    uuid: str
    edit: LiveEdit


class MigrateDomain(Struct, frozen=True):
    """Move a VM, its guest running on, or off for it (`cold`); the action's host is `target`.

    Expects it to run on `source` with the epoch before, and nothing of its name or UUID on `target`; with `begun`, that
    a migration with these very values is on record: that one is followed to its end, and never issued again. Its
    definition on `target` carries `epoch`, the one on `source` is gone once it is there.
    """

    domain: str
    uuid: str
    source: str
    target: str
    epoch: int
    """Above all that the VM ever had."""
    peer_uri: str
    """libvirt URI by which `source` reaches the libvirtd of `target`."""
    rules: MigrationRules
    address: str | None = None
    """Where the target takes the guest's memory; None leaves that to libvirt."""
    disks: tuple[DiskCopy, ...] = ()
    """Local disks, which go with it; empty where all are shared."""
    paths: tuple[tuple[str, str], ...] = ()
    """Device and file of every disk that has another path on the target."""
    trusts_sharing: bool = False
    """It has disks in pools that the specs call shared: libvirt's own doubts about them are set aside."""
    cold: bool = False
    """It is off at `source`, which is expected, and its definition alone goes: a later plan starts it. No `disks`."""
    starts: bool = False
    """With `cold`: whatever it ended by, it is to run there."""
    begun: bool = False

    @property
    def target_paths(self) -> dict[str, str]:
        """Device and file on the target, of every disk that has another path there or is copied."""
        return {**dict(self.paths), **{disk.device: disk.target_path for disk in self.disks}}


def is_followed_up(step: object) -> bool:
    """Whether it only sees to the end of what was begun before: also of what is held by now."""
    return isinstance(step, MigrateDomain | CaptureImage) and step.begun


class DeleteVersion(Struct, frozen=True):
    """Delete a version of an image, its manifest first: from then on it is none, and what is left of it goes too.

    Expects that no domain refers to its disks, and that no other version, nor one that is being made, rests on it.
    """

    image: str
    stamp: str
    pool: str
    manifest: str
    volumes: tuple[str, ...]
    """Its disks."""


class DrillImage(Struct, frozen=True):
    """Boot a version as a throw-away VM on a network of its own, see whether it does what it should, and remove it all.

    Expects the disks of the version in the pool, on exactly the recorded ones. Whatever is left of an earlier drill of
    the image is removed first.
    """

    image: str
    stamp: str
    pool: str
    config: DomainConfig
    network: NetworkConfig
    pool_host: str
    """Host by which the volumes of the pool are handled."""
    disks: tuple[DrillDisk, ...]
    timeout: float
    """Seconds that the guest has, from its start."""
    console: str = ""
    """Regular expression that its console has to match; empty where its agent has to answer."""


class EndDrill(Struct, frozen=True):
    """Remove what is left of a drill that did not come to its end."""

    image: str
    domain: str
    uuid: str
    network: str
    network_uuid: str
    volumes: tuple[tuple[str, str], ...]
    """Pool and name of each overlay."""


class FenceHost(Struct, frozen=True):
    """Have the host's power cut and confirmed off; expects that `incident` is open, unproven, and the host silent."""

    host: str
    incident: str
    devices: str = ""
    """Hash of its devices: what failed with others is not held against these."""
    is_off: bool = False
    """A device says so already: that is to be confirmed, and nothing is to be switched."""


Step = (
    FenceHost
    | DefinePool
    | StartPool
    | DefineNetwork
    | StartNetwork
    | FetchImage
    | UploadImage
    | CreateVolume
    | RestoreDisk
    | SwitchDisks
    | GrowVolume
    | GrowDisk
    | EditLive
    | WriteSeed
    | DeleteVolume
    | DefineDomain
    | RedefineDomain
    | AdoptDomain
    | RenameDomain
    | SetAutostart
    | StartDomain
    | StopDomain
    | DrillImage
    | EndDrill
    | UndefineDomain
    | MigrateDomain
    | DeleteVersion
    | CaptureImage
    | ReadVersions
)

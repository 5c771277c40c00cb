"""The owned-fields form: what a spec asks of a domain and what was observed of one, in the same words."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr, replace

DomainState = Literal["running", "paused", "shutdown", "shutoff", "crashed", "pmsuspended", "blocked", "nostate"]
DeletionPolicy = Literal["retain", "delete"]
ACTIVE_STATES: frozenset[DomainState] = frozenset({"running", "paused", "shutdown", "pmsuspended", "blocked"})


class OwnershipMark(Struct, frozen=True):
    """What we write into a domain's metadata; Git plus these are enough to rebuild the ledger."""

    fleet: str
    vm: str
    epoch: int
    spec_hash: str
    """Hash of the domain configuration that was last applied; tells drift from a spec change."""
    generation: str
    """Commit or snapshot that the configuration came from."""
    deletion_policy: DeletionPolicy = "retain"
    """Remembered here because the spec is gone when it is needed."""
    prune: Literal["enabled", "disabled"] = "enabled"
    cpu_model: str = ""
    """What was asked for when the guest booted; the live XML tells what libvirt made of it. Empty if not known."""
    restore: str = ""
    """The last restore that was done (`restores.done_after`): it is never done again, whatever the ledger has lost."""

    adopted: str = ""
    """UUID of the domain, where it was adopted or renamed; empty where that follows from fleet and VM."""
    origin: str = ""
    """The name that the VM was made with, where it has another one now: that of its volumes."""

    @property
    def made_as(self) -> str:
        """The name that its volumes, and what else is derived from a name, have."""
        return self.origin or self.vm

    def is_like(self, other: OwnershipMark | None) -> bool:
        """Whether the mark of the running domain says the same as that of its definition."""
        return other is not None and replace(other, cpu_model=self.cpu_model) == self


class IoTuneConfig(Struct, frozen=True, repr_omit_defaults=True):
    """I/O limits of a disk, in bytes and operations a second; 0 is no limit."""

    total_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    total_iops: int = 0
    read_iops: int = 0
    write_iops: int = 0


class TrafficConfig(Struct, frozen=True, repr_omit_defaults=True):
    """Limit of one direction of a NIC: bytes a second, and bytes of a burst; 0 is no limit."""

    average: int
    peak: int = 0
    burst: int = 0


class BandwidthConfig(Struct, frozen=True, repr_omit_defaults=True):
    """Limits of a NIC, as the guest sees the directions."""

    inbound: TrafficConfig | None = None
    outbound: TrafficConfig | None = None


class DiskConfig(Struct, frozen=True, repr_omit_defaults=True):
    """One disk of a domain; `path` is what QEMU opens on the host."""

    target: str
    """Device name, such as `vda`; identifies the disk within the domain."""
    path: str
    format: Literal["qcow2", "raw"]
    bus: str = "virtio"
    block_device: bool = False
    read_only: bool = False
    io_tune: IoTuneConfig | None = None

    def __post_init__(self) -> None:
        """What equals a default, as read from a host, becomes it: a representation leaves out what *is* the default."""
        if self.bus == "virtio":
            force_setattr(self, "bus", "virtio")


class NicConfig(Struct, frozen=True, repr_omit_defaults=True):
    """One NIC of a domain; the MAC identifies it."""

    mac: str
    network: str
    model: str = "virtio"
    link: Literal["up", "down"] = "up"
    bandwidth: BandwidthConfig | None = None

    def __post_init__(self) -> None:
        """As for a disk: what equals a default is it."""
        if self.model == "virtio":
            force_setattr(self, "model", "virtio")
        if self.link == "up":
            force_setattr(self, "link", "up")


class WatchdogConfig(Struct, frozen=True):
    """The watchdog device of a domain."""

    model: str
    action: str


class DomainConfig(Struct, frozen=True, repr_omit_defaults=True):
    """Every field of a domain that a spec expresses, and nothing else. Sizes in bytes.

    A field that is added later has a default, which the representation, and so the hash of a spec, leaves out.
    """

    name: str
    uuid: str
    domain_type: str
    machine: str
    firmware: Literal["bios", "uefi", "uefi-secure"]
    vcpus: int
    max_vcpus: int
    cpu_model: str
    memory: int
    max_memory: int
    disks: tuple[DiskConfig, ...]
    nics: tuple[NicConfig, ...]
    seed: DiskConfig | None
    """NoCloud seed, read-only, the last virtio disk."""
    graphics: Literal["none", "vnc"]
    agent_channel: bool
    serial_console: bool
    console_log: str | None
    """File on the host that keeps what the serial console printed."""
    rng: bool
    balloon: bool
    autostart: bool
    mark: OwnershipMark | None
    watchdog: WatchdogConfig | None = None
    title: str = ""
    description: str = ""
    clock: Literal["utc", "localtime"] = "utc"
    tpm: Literal["none", "tpm-crb", "tpm-tis"] = "none"
    """Model of an emulated TPM 2.0."""

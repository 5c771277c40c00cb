"""The owned-fields form: what a spec asks of a domain and what was observed of one, in the same words."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

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


class DiskConfig(Struct, frozen=True):
    """One disk of a domain; `path` is what QEMU opens on the host."""

    target: str
    """Device name, such as `vda`; identifies the disk within the domain."""
    path: str
    format: Literal["qcow2", "raw"]
    bus: str = "virtio"
    block_device: bool = False
    read_only: bool = False


class NicConfig(Struct, frozen=True):
    """One NIC of a domain; the MAC identifies it."""

    mac: str
    network: str
    model: str = "virtio"


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

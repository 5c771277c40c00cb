"""What is done to make versions of images out of VMs' disks."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model.image import Quiesce


class CaptureDisk(Struct, frozen=True):
    """One disk to capture, and the volume of the version that takes it; bytes."""

    name: str
    """As the VM's spec calls it."""
    device: str
    """Device name, such as `vda`."""
    pool: str
    volume: str
    format: Literal["qcow2", "raw"]
    capacity: int
    target: str
    """Volume of the version."""
    copy: str
    """Volume that takes what is copied: the target itself, unless that is made of it once the guest is let go."""
    backing: str | None = None
    """Volume of the parent version, to which only the difference is copied."""


class CaptureImage(Struct, frozen=True):
    """Make a version of an image: the VM's disks at one instant, then their digests, then the manifest.

    The action's host is the VM's. Expects it to run there, or to be off with `is_off`, and none of the volumes in the
    pools; with `begun`, that a capture with these very values is on record: that one is followed to its end, or with
    `give_up`, for that reason, nothing is left of it.
    """

    image: str
    stamp: str
    domain: str
    uuid: str
    host: str
    pool: str
    pool_host: str
    """By which host the pool is reached; the VM's own wherever that has it."""
    shared: bool
    """Whether the pool is one that hosts share: then the version is no single host's."""
    copy_pool: str
    """Pool of the VM's host that takes what is copied."""
    folder: str
    """Where that pool is on the VM's host."""
    manifest: str
    disks: tuple[CaptureDisk, ...]
    quiesce: Quiesce = "prefer"
    is_off: bool = False
    bandwidth: int = 0
    """Bytes a second; 0 for as many as there is room for."""
    compression: Literal["none", "zstd"] = "none"
    generation: str = ""
    spec_hash: str = ""
    due: float = 0.0
    """Instant of the schedule that has its capture with this one, in seconds; 0 where there is none."""
    parent: str | None = None
    """Stamp of the version that it holds the difference to."""
    incremental: str = ""
    """Checkpoint since which only what changed is copied."""
    checkpoint: str = ""
    """Checkpoint to make at the instant of this one."""
    begun: bool = False
    give_up: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files on the VM's host that its disks are copied into."""
        return tuple(f"{self.folder.rstrip('/')}/{disk.copy}" for disk in self.disks)

    @property
    def is_staged(self) -> bool:
        """Whether the version's volumes are made of those that the disks are copied into."""
        return any(disk.copy != disk.target for disk in self.disks)


class ReadVersions(Struct, frozen=True):
    """Write down the versions whose manifests are in a pool, after the ledger was lost.

    A manifest that was cut off as it was written is deleted.
    """

    image: str
    pool: str
    manifests: tuple[str, ...]

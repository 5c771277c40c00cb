"""What libvirt is told of a running VM's disks to be copied, and what it tells of that."""

from __future__ import annotations

from msgspec import Struct


class BackupDisk(Struct, frozen=True):
    """One disk, and the file that was made for its content."""

    device: str
    """Device name, such as `vda`."""
    path: str
    format: str = "qcow2"


class BackupJob(Struct, frozen=True):
    """How far the copy is; bytes."""

    done: int
    total: int
    targets: tuple[str, ...]
    """Paths that it writes to: by these it is known whose it is."""


class BackupEnd(Struct, frozen=True):
    """How the last one of a domain ended."""

    succeeded: bool
    error: str = ""

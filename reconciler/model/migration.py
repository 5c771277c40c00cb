"""What goes with a VM that is moved while it runs, and by which rules."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Fallback = Literal["abort", "pause", "cold"]
"""What is done where a guest writes faster than its memory can be sent.

Give up; pause it until it is there; or give up, and have a later plan shut it down and start it there.
"""

Compression = Literal["off", "xbzrle"]
"""How memory is sent once more: as it is, or what has changed of it."""


class DiskCopy(Struct, frozen=True):
    """A local disk that goes with its VM, into the pool of that name on the target. Capacity in bytes."""

    device: str
    """Device name, such as `vda`."""
    pool: str
    volume: str
    """The same name on both hosts."""
    format: Literal["qcow2", "raw"]
    capacity: int
    target_path: str
    base: str | None = None
    """Base volume that it starts from: complete on the target already; what differs from it is all that is sent."""


class MigrationRules(Struct, frozen=True):
    """The policy as it holds for one migration; seconds, and bytes per second."""

    deadline: float
    """Since its beginning; what is not there by then is stopped as `fallback` says."""
    stall_after: float
    """Time without a byte sent after which it is given up."""
    fallback: Fallback = "abort"
    bandwidth: int = 0
    """0 for as much as there is."""
    connections: int = 1
    auto_converge: bool = True
    compression: Compression = "off"
    tls: bool = False
    post_copy: bool = False


class MigrationJob(Struct, frozen=True):
    """How far a migration is, as its source tells. Bytes and seconds."""

    total: int
    """Memory and copied disks together, from the beginning on."""
    done: int
    """Sent in all, with what had to be sent again."""
    remaining: int
    """Of a guest that goes on writing it may grow again."""
    elapsed: float
    downtime: float | None = None
    """How long the guest stood still, or is expected to; None where that is not known."""
    passes: int = 0
    """How often its memory is gone through; above 1 it is about what the guest has written meanwhile."""
    is_switched: bool = False
    """Whether the guest runs at the target already (post-copy): it can't be called back any more."""

"""What the ledger's history tells: events and passes."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

# The timeline of a lost host; of `Host/NAME`, the last two of `VirtualMachine/NAME`.
HOST_LAST_SEEN: Final = "host-last-seen"
HOST_SUSPECT: Final = "host-suspect"
HOST_UNREACHABLE: Final = "host-unreachable"
FENCE_BEGAN: Final = "fence-began"
FENCE_PROOF: Final = "fence-proof"
HOST_RETURNED: Final = "host-returned"
HOST_ONLINE: Final = "host-online"
HOST_QUARANTINED: Final = "host-quarantined"
LEADS: Final = "leads"
"""Of the whole fleet: a controller took the lead, its term in the message."""
SPECS_DOUBTED: Final = "specs-doubted"
SPECS_ACCEPTED: Final = "specs-accepted"
"""Of the whole fleet too: a leader with other specs than the last one's, and a human's word for them."""
VM_DEFINED: Final = "vm-defined"
VM_RUNNING: Final = "vm-running"
RAN_TWICE: Final = "ran-twice"
"""Of a VM: its old copy ran beside the true one, and was forced off."""
RESUMED: Final = "resumed"
"""Of anything: a human let it go on, and has seen what was told of it."""


class LedgerEvent(Struct, frozen=True):
    """Something that was done, or that happened to `target` (`Kind/name`). `at` is wall time in seconds."""

    at: float
    pass_id: str
    target: str
    host: str
    """Empty for what happens on the controller."""
    event: str
    """Short constant such as `done`, `failed`, `paused`."""
    message: str


class PassRecord(Struct, frozen=True):
    """A run of passes that decided the same from the same generation; wall times in seconds."""

    pass_id: str
    """Of the first pass of the run."""
    generation: str
    fingerprint: str
    """Of the plan."""
    first_at: float
    last_at: float
    passes: int

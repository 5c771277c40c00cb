"""What is kept of a VM that was removed, or of a disk that was replaced, until it is deleted for good."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

TombstoneKind = Literal[
    "removed",  # its VM left the specs
    "replaced",  # its VM has another disk in its place, as a restore makes one
]


class Tombstone(Struct, frozen=True):
    """Volumes that nobody uses and that are kept all the same; wall times in seconds."""

    vm: str
    kind: TombstoneKind
    since: float
    expires_at: float
    """By the wall clock; no tombstone expires before as much time has also been counted (`left`)."""
    host: str
    """Where the VM was put last, and where those of the volumes are that are in local pools."""
    volumes: tuple[tuple[str, str], ...]
    """Pool and name of each, in order."""
    uuid: str = ""
    macs: tuple[str, ...] = ()
    nvram: bool = False
    """Whether its UEFI variables lie on `host` as well."""
    restore: str = ""
    """Of a replaced disk: what it was replaced by, such as `web-1-golden@2026-11-22T02:00Z`."""
    counted_from: float = 0.0
    """Seconds that had been counted (CountedTime) when it began; filled in by the ledger."""
    purged: bool = False
    """A human has it deleted now."""

    @property
    def retention(self) -> float:
        """Seconds that it is kept in all."""
        return self.expires_at - self.since

    def left(self, now: float, counted: float) -> float:
        """Seconds until it may be deleted: until wall time and counted time have both gone by. 0 if it may be now."""
        if self.purged:
            return 0.0
        return max(0.0, self.expires_at - now, self.uncounted(counted))

    def uncounted(self, counted: float) -> float:
        """Seconds that are still to be counted, whatever the wall clock says; negative once they have been."""
        return self.counted_from + self.retention - counted

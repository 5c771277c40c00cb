"""VMs that were removed: where each had been put last, and what was to become of its disks."""

from __future__ import annotations

import sqlite3
from typing import Final

from reconciler.model.ledger import RemovedVm

REMOVED_KEPT: Final = 10_000
_REMOVED: Final = "SELECT vm, host, epoch, deletion_policy FROM removed_vm"


class RemovedVms:
    """Removed VMs in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def by_vm(self) -> dict[str, RemovedVm]:
        rows = self._connection.execute(_REMOVED)
        return {row[0]: RemovedVm(*row) for row in rows}

    def add(self, vm: str, host: str | None) -> None:
        """Keep what is known of a placement that is about to be forgotten; the oldest are dropped beyond 10,000."""
        self._connection.execute(
            "REPLACE INTO removed_vm (vm, host, epoch, deletion_policy)"
            " SELECT vm, host, epoch, deletion_policy FROM placement WHERE vm = ? AND host = coalesce(?, host)",
            (vm, host),
        )
        self._connection.execute(
            "DELETE FROM removed_vm WHERE id <= (SELECT max(id) FROM removed_vm) - ?", (REMOVED_KEPT,)
        )

    def of(self, vm: str) -> RemovedVm | None:
        row = self._connection.execute(f"{_REMOVED} WHERE vm = ?", (vm,)).fetchone()
        return RemovedVm(*row) if row else None

    def drop(self, vm: str) -> None:
        """The VM has a placement again, which says more."""
        self._connection.execute("DELETE FROM removed_vm WHERE vm = ?", (vm,))

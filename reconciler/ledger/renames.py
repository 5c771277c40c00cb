"""A VM that was renamed: all that is on record of it goes with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from reconciler.ledger.disruptions import DisruptionsLedger
from reconciler.ledger.removed_vms import RemovedVms

_OF_A_VM: Final = (
    "placement",
    "restart",
    "silent_guest",
    "disk_volume",
    "restored",
    "restoring",
    "left_volume",
    "doomed_volume",
    "disruption",
    "tombstone",
)
"""Tables whose rows are a VM's, by its name; of the new name there is nothing yet that counts."""


def rename(connection: sqlite3.Connection, old: str, new: str, host: str) -> None:
    """Within the transaction of `connection`, if `old` was put on `host`."""
    run = connection.execute
    if run("SELECT 1 FROM placement WHERE vm = ? AND host = ?", (old, host)).fetchone() is None:
        return
    removed = RemovedVms(connection)
    removed.drop(new)
    # What has the old name still, here or on a host that is away, is an old copy, or was read before this.
    removed.add(old, host)
    run("UPDATE removed_vm SET host = '' WHERE vm = ?", (old,))
    for table in _OF_A_VM:
        if table != "tombstone":
            run(f"DELETE FROM {table} WHERE vm = ?", (new,))  # noqa: S608  # ours
        run(f"UPDATE {table} SET vm = ? WHERE vm = ?", (new, old))  # noqa: S608  # ours
    before, after = f"VirtualMachine/{old}", f"VirtualMachine/{new}"
    run("UPDATE OR REPLACE paused SET target = ? WHERE target = ?", (after, before))
    run("UPDATE event SET target = ? WHERE target = ?", (after, before))


def read_awaited(connection: sqlite3.Connection) -> frozenset[str]:
    """VMs of the specs that were known and not made yet."""
    return frozenset(str(row[0]) for row in connection.execute("SELECT vm FROM awaited_vm"))


class RenamesLedger(DisruptionsLedger):
    """The part of the ledger that does it."""

    def note_awaited(self, vms: Iterable[str]) -> None:
        """Remember which VMs the specs have that are not made yet, and wait."""
        with self._writing() as connection:
            connection.execute("DELETE FROM awaited_vm")
            connection.executemany("INSERT INTO awaited_vm VALUES (?)", [(vm,) for vm in sorted(vms)])

    def rename_vm(self, old: str, new: str, host: str) -> None:
        """Take what is on record of `old`, which was put on `host`, for that of `new`; written after it is renamed."""
        with self._writing() as connection:
            rename(connection, old, new, host)

"""Restores: which volume a disk has since, what was done last, and what is being made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import astuple

from reconciler.ledger.led_specs import SpecsLedger
from reconciler.model.ledger import RestoreDone, RestoringDisk

_RESTORING: Final = "SELECT vm, disk, value, source, pool, volume, host, copied FROM restoring"


class Restores:
    """Restores in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def disk_volumes(self) -> dict[tuple[str, str], str]:
        rows = self._connection.execute("SELECT vm, disk, volume FROM disk_volume")
        return {(vm, disk): volume for vm, disk, volume in rows}

    def done(self) -> dict[str, RestoreDone]:
        rows = self._connection.execute("SELECT vm, done, at, source, starts FROM restored")
        return {vm: RestoreDone(vm, done, at, source, bool(starts)) for vm, done, at, source, starts in rows}

    def under_way(self) -> dict[str, tuple[RestoringDisk, ...]]:
        found: dict[str, tuple[RestoringDisk, ...]] = {}
        for row in self._connection.execute(f"{_RESTORING} ORDER BY vm, disk, volume"):
            vm, disk, value, source, pool, volume, host, copied = row
            made = RestoringDisk(vm, disk, value, source, pool, volume, host, bool(copied))
            found[vm] = (*found.get(vm, ()), made)
        return found

    def begin(self, disk: RestoringDisk) -> None:
        """The volume counts as unfinished until the VM has it."""
        run = self._connection.execute
        place = (disk.pool, disk.volume, disk.host)
        run("INSERT OR IGNORE INTO volume_intent VALUES (?, ?, ?)", place)
        made = (disk.vm, disk.disk, disk.value, disk.source, *place)
        run("REPLACE INTO restoring VALUES (?, ?, ?, ?, ?, ?, ?, 0)", made)

    def copied(self, disk: RestoringDisk) -> None:
        self._connection.execute(
            "UPDATE restoring SET copied = 1 WHERE pool = ? AND volume = ? AND host = ?",
            (disk.pool, disk.volume, disk.host),
        )

    def finish(self, done: RestoreDone | None, volumes: Mapping[tuple[str, str], str]) -> None:
        """The definition has these volumes: what was made of them is finished."""
        run = self._connection.execute
        for (vm, disk), volume in volumes.items():
            run("REPLACE INTO disk_volume VALUES (?, ?, ?)", (vm, disk, volume))
            run("DELETE FROM restoring WHERE vm = ? AND volume = ?", (vm, volume))
            run("DELETE FROM volume_intent WHERE volume = ?", (volume,))
        if done is not None:
            run("REPLACE INTO restored VALUES (?, ?, ?, ?, ?)", astuple(done))

    def started(self, vm: str) -> None:
        self._connection.execute("UPDATE restored SET starts = 0 WHERE vm = ?", (vm,))


class RestoresLedger(SpecsLedger):
    """The part of the ledger that has them."""

    def restoring(self, vm: str) -> tuple[RestoringDisk, ...]:
        """Volumes of a restore of `vm` that is not done."""
        with self._reading() as connection:
            return Restores(connection).under_way().get(vm, ()) if connection else ()

    def begin_restore(self, disk: RestoringDisk) -> None:
        """Remember that a volume is being made for a disk; written before it is created."""
        with self._writing() as connection:
            Restores(connection).begin(disk)

    def note_copied(self, disk: RestoringDisk) -> None:
        """Remember that the volume is whole; the VM does not have it yet."""
        with self._writing() as connection:
            Restores(connection).copied(disk)

    def finish_restore(self, done: RestoreDone | None, volumes: Mapping[tuple[str, str], str]) -> None:
        """Remember which volumes disks (by VM and disk) have by their definition, and which restore was done."""
        with self._writing() as connection:
            Restores(connection).finish(done, volumes)

    def finish_restores(self, found: Iterable[tuple[RestoreDone | None, Mapping[tuple[str, str], str]]]) -> None:
        """As `finish_restore`, of several VMs."""
        with self._writing() as connection:
            for done, volumes in found:
                Restores(connection).finish(done, volumes)

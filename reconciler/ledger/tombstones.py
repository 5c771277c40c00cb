"""Tombstones: what is kept of removed VMs and of replaced disks, and the time by which that ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Final

from msgspec.structs import astuple

from reconciler.ledger.led_specs import SpecsLedger
from reconciler.model.counted_time import CountedTime, Instant
from reconciler.model.mass_deletion import Deletion
from reconciler.model.tombstone import Tombstone, TombstoneKind

_COLUMNS: Final = "vm, kind, since, expires_at, host, uuid, macs, nvram, restore, counted_from, purged"


class Tombstones:
    """Tombstones in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[Tombstone, ...]:
        """Oldest first."""
        volumes: dict[int, list[tuple[str, str]]] = {}
        found = self._connection.execute("SELECT tombstone, pool, volume FROM tombstone_volume ORDER BY pool, volume")
        for tombstone, pool, volume in found:
            volumes.setdefault(tombstone, []).append((pool, volume))
        rows = self._connection.execute(f"SELECT id, {_COLUMNS} FROM tombstone ORDER BY since, id")  # noqa: S608  # ours
        return tuple(_tombstone(row[1:], tuple(volumes.get(row[0], ()))) for row in rows)

    def add(self, tombstone: Tombstone, counted: float) -> None:
        """Volumes that are on record already stay as they are: who repeats a removal prolongs nothing."""
        row = (
            tombstone.vm,
            tombstone.kind,
            tombstone.since,
            tombstone.expires_at,
            tombstone.host,
            tombstone.uuid,
            json.dumps(tombstone.macs),
            tombstone.nvram,
            tombstone.restore,
            counted,
            tombstone.purged,
        )
        sql = f"INSERT INTO tombstone ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # ours
        number = self._connection.execute(sql, row).lastrowid
        self._connection.executemany(
            "INSERT OR IGNORE INTO tombstone_volume VALUES (?, ?, ?, ?)",
            [(pool, volume, tombstone.host, number) for pool, volume in tombstone.volumes],
        )
        self._forget_empty()

    def drop(self, volumes: Iterable[tuple[str, str, str | None]]) -> None:
        """Volumes (pool, name, host; every host for None) that are gone, or in use again."""
        gone = self._connection.executemany(
            "DELETE FROM tombstone_volume WHERE pool = ? AND volume = ? AND host = coalesce(?, host)", volumes
        )
        if gone.rowcount > 0:
            self._forget_empty()

    def _forget_empty(self) -> None:
        self._connection.execute("DELETE FROM tombstone WHERE id NOT IN (SELECT tombstone FROM tombstone_volume)")

    def keep(self, vm: str, until: float) -> int:
        """How many there are of it."""
        sql = "UPDATE tombstone SET expires_at = ?, purged = 0 WHERE vm = ?"
        return self._connection.execute(sql, (until, vm)).rowcount

    def purge(self, vm: str) -> int:
        """How many there are of it."""
        return self._connection.execute("UPDATE tombstone SET purged = 1 WHERE vm = ?", (vm,)).rowcount

    def accepted(self) -> frozenset[Deletion]:
        rows = self._connection.execute("SELECT vm, what FROM accepted_deletion")
        return frozenset(Deletion(*row) for row in rows)

    def counted(self) -> CountedTime | None:
        """None where nobody has counted yet."""
        row = self._connection.execute("SELECT seconds, wall, monotonic, boot FROM counted_time").fetchone()
        return CountedTime(row[0], Instant(row[1], row[2], row[3])) if row else None

    def count(self, now: Instant) -> float:
        """Seconds counted up to `now`, which is written down."""
        known = self.counted()
        counted = known.at(now) if known is not None else CountedTime(0.0, now)
        self._connection.execute(
            "REPLACE INTO counted_time (one, seconds, wall, monotonic, boot) VALUES (1, ?, ?, ?, ?)",
            (counted.seconds, now.wall, now.monotonic, now.boot),
        )
        return counted.seconds


class TombstoneLedger(SpecsLedger):
    """The part of the ledger that has them."""

    def bury(self, tombstone: Tombstone, now: Instant) -> None:
        """Remember that its volumes are kept until it expires; written before anything of the VM is taken away.

        Volumes that have a tombstone already keep that one, so to write it twice changes nothing.
        """
        with self._writing() as connection:
            tombstones = Tombstones(connection)
            tombstones.add(tombstone, tombstones.count(now))

    def unbury(self, volumes: Iterable[tuple[str, str, str | None]]) -> None:
        """Forget that these volumes (pool, name, host; every host for None) were to be deleted: they are in use."""
        with self._writing() as connection:
            Tombstones(connection).drop(tuple(volumes))

    def keep_tombstones(self, vm: str, until: float) -> int:
        """Have all that is kept of `vm` be kept until `until` (wall time in seconds); return how many there are."""
        with self._writing() as connection:
            return Tombstones(connection).keep(vm, until)

    def purge_tombstones(self, vm: str) -> int:
        """Have all that is kept of `vm` be deleted as soon as that is safe; return how many there are."""
        with self._writing() as connection:
            return Tombstones(connection).purge(vm)

    def accept_deletions(self, deletions: Iterable[Deletion]) -> None:
        """Remember that a human means these: they are not held for being many."""
        with self._writing() as connection:
            rows = [astuple(deletion) for deletion in deletions]
            connection.executemany("INSERT OR IGNORE INTO accepted_deletion VALUES (?, ?)", rows)

    def forget_accepted_deletions(self, deletions: Iterable[Deletion]) -> None:
        """Forget that these were meant: they are done, or nobody wants them any more."""
        with self._writing() as connection:
            rows = [astuple(deletion) for deletion in deletions]
            connection.executemany("DELETE FROM accepted_deletion WHERE vm = ? AND what = ?", rows)

    def counted_time(self) -> CountedTime | None:
        """The time that was counted up to when somebody last wrote it down; None where nobody has."""
        with self._reading() as connection:
            return Tombstones(connection).counted() if connection else None

    def count_time(self, now: Instant) -> float:
        """Write down how much time has been counted up to `now`; in seconds."""
        with self._writing(durable=False) as connection:
            return Tombstones(connection).count(now)


def _tombstone(
    row: tuple[str, TombstoneKind, float, float, str, str, str, int, str, float, int],
    volumes: tuple[tuple[str, str], ...],
) -> Tombstone:
    vm, kind, since, expires, host, uuid, macs, nvram, restore, counted, purged = row
    return Tombstone(
        vm=vm,
        kind=kind,
        since=since,
        expires_at=expires,
        host=host,
        volumes=volumes,
        uuid=uuid,
        macs=tuple(json.loads(macs)),
        nvram=bool(nvram),
        restore=restore,
        counted_from=counted,
        purged=bool(purged),
    )

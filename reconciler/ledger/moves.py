"""VMs on their way to another host, and what they left behind."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from reconciler.errors import PreconditionFailed
from reconciler.model.ledger import DoomedVolume, Migration, MigrationProgress
from reconciler.model.plan import Why
from reconciler.model.steps import MigrateDomain

_MOVES: Final = "SELECT vm, since, step, why, done, total, remaining, told, downtime FROM migration"


class Moves:
    """Migrations in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def by_vm(self) -> dict[str, Migration]:
        return {row[0]: _migration(row) for row in self._connection.execute(_MOVES)}

    def of(self, vm: str) -> Migration | None:
        row = self._connection.execute(f"{_MOVES} WHERE vm = ?", (vm,)).fetchone()
        return _migration(row) if row else None

    def begin(self, move: Migration) -> None:
        known = self.of(move.vm)
        if known is not None:
            raise PreconditionFailed(
                f"VirtualMachine/{move.vm} is on its way from {known.source} to {known.target} already",
                hint="plan again",
            )
        held = self._connection.execute(
            "SELECT image FROM capture WHERE vm = ? AND phase != 'sealing'", (move.vm,)
        ).fetchone()
        if held is not None:
            raise PreconditionFailed(
                f"VirtualMachine/{move.vm} is being captured for Image/{held[0]}", hint="plan again once that is done"
            )
        self._connection.execute(
            "INSERT INTO migration (vm, since, step, why) VALUES (?, ?, ?, ?)",
            (move.vm, move.since, msgspec.json.encode(move.step).decode(), move.why),
        )

    def note_progress(self, vm: str, progress: MigrationProgress) -> None:
        self._connection.execute(
            "UPDATE migration SET done = ?, total = ?, remaining = ?, told = ?, downtime = ? WHERE vm = ?",
            (progress.done, progress.total, progress.remaining, progress.at, progress.downtime, vm),
        )

    def arrived(self, move: Migration, at: float) -> None:
        """It is at the target: it is placed there, and its disks at the source are another's no more.

        What was off has run as much as before, or has yet to run there if it is to be on.
        """
        step, run = move.step, self._connection.execute
        run(
            "UPDATE placement SET host = ?, epoch = ?, since = ?, autostart = 0,"
            " marked_epoch = NULL, outran_at = NULL,"
            " drained_from = CASE WHEN ? THEN coalesce(drained_from, ?) END WHERE vm = ?",
            (step.target, step.epoch, at, move.why == "drain", step.source, move.vm),
        )
        if not step.cold:
            run("UPDATE placement SET ran = 1, came_from = NULL WHERE vm = ?", (move.vm,))
        elif step.starts:
            run("UPDATE placement SET ran = 0 WHERE vm = ?", (move.vm,))
        for disk in step.disks:
            run("INSERT OR IGNORE INTO left_volume VALUES (?, ?, ?, ?)", (move.vm, disk.pool, disk.volume, step.source))
            run(
                "DELETE FROM left_volume WHERE pool = ? AND volume = ? AND host = ?",
                (disk.pool, disk.volume, step.target),
            )
            run(
                "DELETE FROM volume_intent WHERE pool = ? AND volume = ? AND host = ?",
                (disk.pool, disk.volume, step.target),
            )
        self.forget(move.vm)

    def stayed(self, move: Migration, *, is_target_unseen: bool, outran_at: float | None) -> None:
        """It is at the source still; `outran_at` is when it was given up, if it took too long as it ran.

        Of a target that was not asked nobody knows what it has left: the VM's epoch goes beyond that, and its mark
        follows.
        """
        if is_target_unseen:
            self._connection.execute(
                "UPDATE placement SET marked_epoch = coalesce(marked_epoch, epoch), epoch = ? WHERE vm = ?",
                (move.epoch + 1, move.vm),
            )
        if outran_at is not None:
            self._connection.execute("UPDATE placement SET outran_at = ? WHERE vm = ?", (outran_at, move.vm))
        self.forget(move.vm)

    def forget(self, vm: str) -> None:
        self._connection.execute("DELETE FROM migration WHERE vm = ?", (vm,))

    def left_behind(self) -> frozenset[DoomedVolume]:
        rows = self._connection.execute("SELECT vm, pool, volume, host FROM left_volume")
        return frozenset(DoomedVolume(*row) for row in rows)


def _migration(
    row: tuple[str, float, str, Why, int | None, int | None, int | None, float | None, float | None],
) -> Migration:
    vm, since, step, why, done, total, remaining, told, downtime = row
    progress = None if told is None else MigrationProgress(done or 0, total or 0, remaining or 0, told, downtime)
    return Migration(vm, since, msgspec.json.decode(step, type=MigrateDomain), why, progress)

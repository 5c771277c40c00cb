"""How drills of captured images ended."""

from __future__ import annotations

import sqlite3

from reconciler.ledger.led_specs import SpecsLedger
from reconciler.model.drill import DrillResult


def read_drills(connection: sqlite3.Connection) -> dict[str, DrillResult]:
    """By image: the last one."""
    rows = connection.execute("SELECT image, stamp, at, passed, detail, seconds, passed_stamp, passed_at FROM drill")
    return {
        image: DrillResult(stamp, at, bool(passed), detail, seconds, passed_stamp, passed_at)
        for image, stamp, at, passed, detail, seconds, passed_stamp, passed_at in rows
    }


class DrillsLedger(SpecsLedger):
    """The part of the ledger that has them."""

    def drills(self) -> dict[str, DrillResult]:
        """By image: how the last one ended."""
        with self._reading() as connection:
            return read_drills(connection) if connection else {}

    def note_drill(self, image: str, result: DrillResult) -> None:
        """Remember how a drill ended; which version passed one last stays on record after one that failed."""
        passed = (result.stamp, result.at) if result.passed else None
        with self._writing() as connection:
            before = read_drills(connection).get(image)
            last = passed or ((before.passed_stamp, before.passed_at) if before else ("", 0.0))
            connection.execute(
                "REPLACE INTO drill VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (image, result.stamp, result.at, result.passed, result.detail, result.seconds, *last),
            )

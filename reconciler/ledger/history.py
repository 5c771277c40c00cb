"""The ledger's history: bounded, newest first."""

from __future__ import annotations

import sqlite3
from typing import Final

from reconciler.ledger.records import RAN_TWICE, RESUMED, LedgerEvent, PassRecord

EVENTS_KEPT: Final = 10_000
PASSES_KEPT: Final = 1_000
_PRUNE_EVERY: Final = 100


class History:
    """Events and passes in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_event(self, event: LedgerEvent) -> None:
        cursor = self._connection.execute(
            "INSERT INTO event (at, pass_id, target, host, event, message) VALUES (?, ?, ?, ?, ?, ?)",
            (event.at, event.pass_id, event.target, event.host, event.event, event.message),
        )
        newest = cursor.lastrowid or 0
        if newest % _PRUNE_EVERY == 0:  # now and then is enough, and cheaper than at each event
            self._connection.execute("DELETE FROM event WHERE id <= ?", (newest - EVENTS_KEPT,))

    def add_pass(self, pass_id: str, generation: str, fingerprint: str, at: float) -> None:
        last = self._connection.execute(
            "SELECT id, generation, fingerprint FROM pass ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if last and last[1:] == (generation, fingerprint):
            self._connection.execute("UPDATE pass SET last_at = ?, passes = passes + 1 WHERE id = ?", (at, last[0]))
            return
        cursor = self._connection.execute(
            "INSERT INTO pass (pass_id, generation, fingerprint, first_at, last_at, passes) VALUES (?, ?, ?, ?, ?, 1)",
            (pass_id, generation, fingerprint, at, at),
        )
        self._connection.execute("DELETE FROM pass WHERE id <= ?", ((cursor.lastrowid or 0) - PASSES_KEPT,))

    def ran_twice(self) -> dict[str, str]:
        """By VM: what is told of its having run twice, until a human resumes it."""
        rows = self._connection.execute(
            "SELECT target, message FROM event told WHERE event = :twice AND NOT EXISTS (SELECT 1 FROM event later"
            " WHERE later.target = told.target AND later.id > told.id AND later.event = :resumed) ORDER BY id",
            {"twice": RAN_TWICE, "resumed": RESUMED},
        )
        return {target.partition("/")[2]: message for target, message in rows}

    def events(self, target: str | None, limit: int) -> tuple[LedgerEvent, ...]:
        rows = self._connection.execute(
            "SELECT at, pass_id, target, host, event, message FROM event"
            " WHERE :target IS NULL OR target = :target ORDER BY id DESC LIMIT :limit",
            {"target": target, "limit": limit},
        )
        return tuple(LedgerEvent(*row) for row in rows)

    def passes(self, limit: int) -> tuple[PassRecord, ...]:
        rows = self._connection.execute(
            "SELECT pass_id, generation, fingerprint, first_at, last_at, passes FROM pass ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return tuple(PassRecord(*row) for row in rows)

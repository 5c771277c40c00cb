"""When VMs were disrupted on purpose, so that a restart of the controller gives no new allowance."""

from __future__ import annotations

import sqlite3
from typing import Final

from reconciler.ledger.notices import NoticesLedger

KEPT: Final = 7 * 86400.0
"""Seconds; no rate limit looks further back."""


def read_disruptions(connection: sqlite3.Connection) -> tuple[tuple[str, float], ...]:
    """VM and wall time in seconds, oldest first."""
    return tuple((vm, at) for vm, at in connection.execute("SELECT vm, at FROM disruption ORDER BY at, vm"))


class DisruptionsLedger(NoticesLedger):
    """The part of the ledger that has them."""

    def note_disruption(self, vm: str, at: float) -> None:
        """Remember that `vm` is disrupted on purpose from `at` on, wall time in seconds; written before it is."""
        with self._writing() as connection:
            # What lies ahead was written before the clock was set back.
            connection.execute("DELETE FROM disruption WHERE at > ? OR at < ?", (at, at - KEPT))
            connection.execute("INSERT OR IGNORE INTO disruption VALUES (?, ?)", (vm, at))

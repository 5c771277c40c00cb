"""When VMs were started again that had ended by themselves."""

from __future__ import annotations

import sqlite3
from typing import Final

RESTARTS_KEPT: Final = 100
"""Of each VM; a policy can't ask for more."""


class Restarts:
    """Restarts in an open transaction of `connection`; times are wall time in seconds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def by_vm(self) -> dict[str, tuple[float, ...]]:
        found: dict[str, list[float]] = {}
        for vm, at in self._connection.execute("SELECT vm, at FROM restart ORDER BY vm, at"):
            found.setdefault(vm, []).append(at)
        return {vm: tuple(times) for vm, times in found.items()}

    def add(self, vm: str, at: float) -> None:
        # What lies ahead was written before the clock was set back.
        self._connection.execute("DELETE FROM restart WHERE vm = ? AND at > ?", (vm, at))
        self._connection.execute("INSERT OR IGNORE INTO restart VALUES (?, ?)", (vm, at))
        self._connection.execute(
            "DELETE FROM restart WHERE vm = :vm AND at NOT IN"
            " (SELECT at FROM restart WHERE vm = :vm ORDER BY at DESC LIMIT :kept)",
            {"vm": vm, "kept": RESTARTS_KEPT},
        )

    def forget(self, vm: str) -> bool:
        """Whether there were any."""
        return self._connection.execute("DELETE FROM restart WHERE vm = ?", (vm,)).rowcount > 0

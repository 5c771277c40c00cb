"""What receivers of notifications were told, so that a restart repeats nothing and forgets no end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from reconciler.ledger.drills import DrillsLedger
from reconciler.model.notifications import Matter, Severity


class NoticesLedger(DrillsLedger):
    """The part of the ledger that has them."""

    def notices(self, receiver: str) -> dict[str, Matter]:
        """By key: what the receiver was told is the matter."""
        with self._reading() as connection:
            if connection is None:
                return {}
            rows = connection.execute(
                "SELECT key, state, severity, object, title FROM notice WHERE receiver = ?", (receiver,)
            ).fetchall()
        return {row[0]: Matter(row[0], row[1], cast("Severity", row[2]), row[3], row[4]) for row in rows}

    def note_told(self, receiver: str, now: Iterable[Matter], over: Iterable[str]) -> None:
        """The receiver was told that these are the matter, and that those (keys) are over."""
        with self._writing(durable=False) as connection:
            connection.executemany(
                "DELETE FROM notice WHERE receiver = ? AND key = ?", [(receiver, key) for key in over]
            )
            connection.executemany(
                "REPLACE INTO notice VALUES (?, ?, ?, ?, ?, ?)",
                [(receiver, each.key, each.state, each.severity, each.object, each.title) for each in now],
            )

    def forget_receivers_except(self, receivers: Iterable[str]) -> None:
        """Receivers that left the configuration begin anew if they come back."""
        with self._writing(durable=False) as connection:
            known = {str(row[0]) for row in connection.execute("SELECT DISTINCT receiver FROM notice")}
            gone = [(name,) for name in known - set(receivers)]
            connection.executemany("DELETE FROM notice WHERE receiver = ?", gone)

"""A leader that answers while somebody waits for it."""

from __future__ import annotations

from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.ledger.asking import Responder


class AnsweringClock(FakeClock):
    """While somebody waits, the leader looks."""

    responder: Responder | None = None

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        if self.responder is not None:
            self.responder.poll()

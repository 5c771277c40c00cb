"""Whether the daemon itself is well: does its loop go round, and does it know what it is to do? Told at once."""

from __future__ import annotations

from typing import Final

from reconciler.clock import Clock
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action

STUCK: Final = 120.0
"""Seconds without a turn of the loop after which it counts as stuck; systemd's watchdog thinks so too."""


class Health:
    """Implements Onlooker; asked from any thread, answers at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turned = clock.monotonic()
        self._ready = ""
        self._trouble = "the first pass is not done yet"

    def live(self) -> tuple[bool, str]:
        """Whether the loop goes round, and a sentence."""
        ago = self._clock.monotonic() - self._turned
        if ago < STUCK:
            return True, f"the loop turned {ago:.0f} s ago"
        return False, f"the loop has not turned for {ago:.0f} s"

    def ready(self) -> tuple[bool, str]:
        """Whether a pass came to a plan, or it is known that another one leads; and a sentence."""
        return bool(self._ready), self._ready or f"not ready: {self._trouble}"

    # -- Onlooker --------------------------------------------------------------------------------------------------
    def turned(self) -> None:
        self._turned = self._clock.monotonic()

    def passed(self, pass_id: str, view: View, seconds: float) -> None:  # noqa: ARG002  as Onlooker has it
        self.turned()
        self._ready = f"leads; the last pass took {seconds:.1f} s"

    def pass_failed(self, pass_id: str, error: ReconcilerError) -> None:  # noqa: ARG002  as Onlooker has it
        self.turned()
        self._trouble = f"the last pass failed: {error.message}"

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        """Says nothing of the daemon."""

    def led(self, term: int) -> None:  # noqa: ARG002  as Onlooker has it
        self.turned()
        self._ready = ""

    def stood_by(self, sentence: str) -> None:
        self.turned()
        self._ready = sentence

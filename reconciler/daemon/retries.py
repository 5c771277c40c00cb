"""When it is worth looking again without an event: a held action is due, or something passes by itself."""

from __future__ import annotations

from typing import Final

from reconciler.daemon.view import View
from reconciler.model.plan import UnmetReason

_PASSING: Final[frozenset[UnmetReason]] = frozenset({"in-progress", "shutting-down"})
"""Reasons that end by themselves, soon."""
_PASSING_PAUSE: Final = 1.0
_SHORTEST_PAUSE: Final = 0.1


def seconds_until_retry(view: View, now: float) -> float | None:
    """From `now`, wall time; None if nothing passes by itself.

    What was held for something else when `view` was taken, its backoff being over, waits for that thing's own event.
    """
    due = [
        failure.not_before - now
        for key in view.plan.held
        if (failure := view.ledger.failures.get(key)) is not None and not failure.permanent and failure.waits(view.at)
    ]
    ours = view.ledger.in_flight
    if any(unmet.reason in _PASSING and str(unmet.target) not in ours for unmet in view.plan.unmet):
        due.append(_PASSING_PAUSE)
    return max(_SHORTEST_PAUSE, min(due)) if due else None

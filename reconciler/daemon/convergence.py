"""One convergence, as `apply` asks for it: pass after pass until nothing is left, or nothing moves."""

from __future__ import annotations

import threading
from typing import Final

from reconciler.clock import Clock
from reconciler.daemon.session import Session
from reconciler.daemon.view import Converged, ConvergeObserver, View
from reconciler.errors import PreconditionFailed
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Plan

MAX_PASSES: Final = 50
"""Passes of one convergence at the most: far above what any fleet needs, so reaching it is a mistake of ours."""
MAX_WAIT: Final = 60.0
"""Seconds that one convergence spends in all on waiting to try failed actions again."""


def converge(
    session: Session,
    clock: Clock,
    *,
    observer: ConvergeObserver,
    stop: threading.Event,
    expect: str | None = None,
    first: View | None = None,
) -> Converged:
    """Carry out passes until nothing is left to do, or nothing moves any more.

    The first pass carries out the plan of `first`, the look that was shown, instead of looking again.
    With `expect` (a plan's fingerprint) exactly that plan is carried out: PreconditionFailed is raised if the fleet
    or the specs moved since, and what turns out to be left afterwards is left.
    """
    outcomes: list[Outcome] = []
    patience, generation = _Patience(), ""
    for number in range(MAX_PASSES):
        view = first if number == 0 and first is not None else session.look()
        pass_id = session.note_input(view)
        if number == 0:
            _require_expected(view.plan, expect)
            observer.planned(view.plan)
            generation = view.plan.generation
        done_enough = number > 0 and expect is not None
        if stop.is_set() or done_enough or patience.is_at_its_end:
            break
        if view.plan.generation != generation:
            generation = view.plan.generation
            observer.planned(view.plan)
        if view.plan.empty:
            pause = session.until_retry(view)
            if pause is None or not patience.allows(pause):
                break
            clock.wait(stop, pause)
            continue
        made = session.execute(view, observer=observer, stop=stop, pass_id=pass_id)
        outcomes += made
        patience.note(made)
    return Converged(view=view, outcomes=tuple(outcomes), settled=view.plan.empty and not view.plan.held)


class _Patience:
    """When a convergence gives up: three passes that achieved nothing, or too long spent waiting."""

    def __init__(self) -> None:
        self._fruitless = 0
        self._waited = 0.0

    @property
    def is_at_its_end(self) -> bool:
        return self._fruitless >= 3

    def note(self, outcomes: tuple[Outcome, ...]) -> None:
        moved = any(outcome.status == "done" for outcome in outcomes)
        self._fruitless = 0 if moved else self._fruitless + 1

    def allows(self, pause: float) -> bool:
        self._waited += pause
        return self._waited <= MAX_WAIT


def _require_expected(plan: Plan, expect: str | None) -> None:
    if expect is not None and plan.fingerprint != expect:
        raise PreconditionFailed(
            f"the plan is {plan.fingerprint} now, not {expect}: the specs or the fleet moved since it was made",
            hint="reconciler plan --out FILE, look at it, and apply that one",
        )

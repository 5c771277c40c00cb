"""What was done and is planned again at once: the host told what was true before, so there is no use in haste."""

from __future__ import annotations

import threading
from typing import Final

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import Action, Plan

_FIRST: Final = 1.0
_LONGEST: Final = 10.0
"""Seconds to wait before the same is done again, the first time and at most."""
_REMEMBERED: Final = 3 * _LONGEST


class _Done(Struct, frozen=True):
    at: float
    """Monotonic."""
    times: int

    @property
    def again_at(self) -> float:
        return self.at + min(_LONGEST, _FIRST * 2.0 ** min(self.times - 1, 16))


class Repeats:
    """Remembers for half a minute what was done; `done` may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._done: dict[tuple[str, str], _Done] = {}

    def done(self, action: Action) -> None:
        """The action has succeeded."""
        now, key = self._clock.monotonic(), _key(action)
        with self._lock:
            self._done = {known: done for known, done in self._done.items() if now - done.at < _REMEMBERED}
            self._done[key] = _Done(now, self._done[key].times + 1 if key in self._done else 1)

    def pause(self, plan: Plan) -> float:
        """Seconds for which the plan is left, to be made anew from what is read then; 0 if anything in it is new."""
        with self._lock:
            known = [self._done.get(_key(action)) for action in plan.actions] if self._done else []
        now = self._clock.monotonic()
        return min((0.0 if done is None else max(0.0, done.again_at - now) for done in known), default=0.0)


def _key(action: Action) -> tuple[str, str]:
    return action.id, action_inputs(action)

"""Progress for programs: one JSON object a line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Self

from reconciler.clock import Clock
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan


class EventProgress:
    """Writes `planned`, `action-started`, `action-progress` (whole percents) and `action-ended`; times in seconds."""

    def __init__(self, write: Callable[[str], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._percents: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def planned(self, plan: Plan) -> None:
        self._tell("planned", fingerprint=plan.fingerprint, generation=plan.generation, actions=len(plan.actions))

    def action_started(self, action: Action) -> None:
        self._tell("action-started", **_of(action))

    def action_progress(self, action_id: str, done: int, total: int) -> None:
        percent = done * 100 // total if total else 0
        with self._lock:
            if self._percents.get(action_id) == percent:
                return
            self._percents[action_id] = percent
        self._tell("action-progress", id=action_id, done=done, total=total, percent=percent)

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        self._tell(
            "action-ended",
            **_of(action),
            status=outcome.status,
            seconds=round(outcome.seconds, 3),
            message=outcome.message,
            hint=outcome.hint,
            transient=outcome.transient,
        )

    def _tell(self, event: str, **values: Any) -> None:
        with self._lock:
            self._write(json.dumps({"at": round(self._clock.now(), 3), "event": event, **values}, ensure_ascii=False))


def _of(action: Action) -> dict[str, Any]:
    return {"id": action.id, "kind": action.kind, "target": str(action.target), "host": action.host}

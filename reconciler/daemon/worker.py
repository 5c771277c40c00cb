"""Carries plans out beside the loop, so that an upload of an hour does not keep the rest of the fleet waiting."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from reconciler.clock import Clock
from reconciler.daemon.session import Session
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.model.outcome import Outcome, OutcomeStatus
from reconciler.model.plan import Action, Plan
from reconciler.model.steps import FenceHost, MigrateDomain

log = structlog.get_logger()

Spawn = Callable[[Callable[[], None], str], None]
"""Has work done beside the loop, under a name."""

_EVENTS: Final[dict[OutcomeStatus, str]] = {
    "done": "action.done",
    "skipped": "action.skipped",
    "handed-back": "action.handed-back",
    "refused": "action.refused",
    "failed": "action.failed",
}


class Workers:
    """One thread a plan; `targets` are the objects (`Kind/name`) that plans in flight are still at.

    With `spawn` plans are carried out by other means than a thread each: in a simulation, at once.
    """

    def __init__(
        self,
        session: Session,
        clock: Clock,
        on_end: Callable[[bool], None],
        *,
        spawn: Spawn | None = None,
        on_outcome: Callable[[Action, Outcome], None] | None = None,
    ) -> None:
        """`on_end` is told, from any thread, that actions ended, and whether something waits for that.

        `on_outcome` is told of each, and how it ended.
        """
        self._session = session
        self._clock = clock
        self._on_end = on_end
        self._on_outcome = on_outcome
        self._spawn = spawn or self._in_a_thread
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()
        self._threads: set[threading.Thread] = set()

    @property
    def targets(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._open)

    def start(self, view: View, pass_id: str) -> None:
        """Begin the plan of `view`; its objects are in flight from here until each one's last action has ended."""
        name = f"plan-{view.plan.fingerprint}"
        with self._lock:
            self._open.update(str(action.target) for action in view.plan.actions)
        self._spawn(lambda: self._carry_out(view, pass_id), name)

    def _in_a_thread(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def stop(self, seconds: float) -> None:
        """Have plans in flight end early, and wait up to `seconds`; what is left is found by the next start."""
        self._stop.set()
        with self._lock:
            threads = list(self._threads)
        deadline = self._clock.monotonic() + seconds
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - self._clock.monotonic()))

    def _carry_out(self, view: View, pass_id: str) -> None:
        observer = _Observer(self)
        structlog.contextvars.bind_contextvars(pass_id=pass_id)
        try:
            self._session.execute(view, observer=observer, stop=self._stop, pass_id=pass_id)
        except ReconcilerError as error:
            log.error("plan.failed", plan=view.plan.fingerprint, error=str(error))  # noqa: TRY400  the text says it all; a traceback is for mistakes of ours
        except Exception:
            # A mistake of ours: the next pass plans again what was not done.
            log.exception("plan.failed", plan=view.plan.fingerprint)
        finally:
            with self._lock:
                self._open = +(self._open - Counter(observer.not_ended(view.plan)))
                self._threads.discard(threading.current_thread())
            self._on_end(False)

    def ended(self, action: Action, outcome: Outcome) -> None:
        """One action of a plan in flight has ended; with its last one the object may be planned for again."""
        if self._on_outcome is not None:
            self._on_outcome(action, outcome)
        target = str(action.target)
        with self._lock:
            self._open[target] -= 1
            is_free = self._open[target] <= 0
            if is_free:
                del self._open[target]
        if is_free:
            # The VMs of a fenced host wait for this, or those that could not leave theirs at the same time.
            self._on_end(isinstance(action.step, FenceHost | MigrateDomain))


class _Observer:
    """Logs what the executor does, and lets go of objects one by one."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._ended: set[str] = set()

    def not_ended(self, plan: Plan) -> list[str]:
        return [str(action.target) for action in plan.actions if action.id not in self._ended]

    def planned(self, plan: Plan) -> None:
        """Nothing to tell: the pass was logged."""

    def action_started(self, action: Action) -> None:
        log.info(
            "action.started", action=action.kind, object=str(action.target), host=action.host, detail=action.detail
        )

    def action_progress(self, action_id: str, done: int, total: int) -> None:
        """Progress is for people who watch; the log tells beginning and end."""

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        self._ended.add(action.id)
        self._workers.ended(action, outcome)
        log.log(
            logging.WARNING if outcome.status in ("refused", "failed") else logging.INFO,
            _EVENTS[outcome.status],
            action=action.kind,
            object=str(action.target),
            host=action.host,
            message=outcome.message,
            seconds=round(outcome.seconds, 3),
        )

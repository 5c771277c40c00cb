"""What the ledger's history, and whoever listens, learns of actions."""

from __future__ import annotations

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.executor.backoff import FENCING_BACKOFF, next_failure
from reconciler.executor.interface import ActionEvent, EventCallback
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import LONGEST_BACKOFF
from reconciler.model.outcome import Outcome, action_inputs
from reconciler.model.plan import Action
from reconciler.model.restores import SwitchDisks
from reconciler.model.steps import FenceHost, RedefineDomain


class Journal(Struct, frozen=True):
    """Writes down what becomes of the actions of one pass."""

    ledger: Ledger
    clock: Clock
    on_event: EventCallback
    pass_id: str

    def started(self, action: Action) -> None:
        """A start without an end in the history shows where the controller was killed."""
        if action.counts:
            self.ledger.note_disruption(action.target.name, self.clock.now())
        self._tell(ActionEvent(self.clock.now(), self.pass_id, action, "started"), action.detail)

    def ended(self, action: Action, outcome: Outcome) -> None:
        """A failure sets when the same action may be tried again; success forgets earlier ones."""
        now = self.clock.now()
        if outcome.status in ("failed", "refused"):
            self.ledger.record_failure(
                next_failure(
                    self.ledger.failure(action.id),
                    key=action.id,
                    inputs=action_inputs(action),
                    message=f"{outcome.message}; {outcome.hint}" if outcome.hint else outcome.message,
                    permanent=not outcome.transient,
                    now=now,
                    longest=FENCING_BACKOFF if isinstance(action.step, FenceHost) else LONGEST_BACKOFF,
                )
            )
        elif outcome.status == "done":
            self._forget_failures(action)
        self._tell(ActionEvent(now, self.pass_id, action, outcome.status, outcome), outcome.message or action.detail)

    def _forget_failures(self, action: Action) -> None:
        """Of the action itself; and of the start of a domain that is another one now: what was refused may do."""
        done = [action.id]
        if isinstance(action.step, RedefineDomain | SwitchDisks):
            done.append(f"start-domain:{action.target}@{action.host}")
        for key in done:
            if self.ledger.failure(key) is not None:
                self.ledger.clear_failure(key)

    def _tell(self, event: ActionEvent, message: str) -> None:
        action = event.action
        self.ledger.record_event(
            LedgerEvent(
                at=event.at,
                pass_id=self.pass_id,
                target=str(action.target),
                host=action.host or "",
                event=f"{action.kind} {event.phase}",
                message=message,
            )
        )
        self.on_event(event)

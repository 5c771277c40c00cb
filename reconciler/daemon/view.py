"""What a look at the fleet and a convergence come to, and who is told of the latter."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan
from reconciler.model.status import FleetStatus


class View(Struct, frozen=True):
    """One look at the fleet; `at` is wall time in seconds."""

    desired: DesiredState
    inventory: Inventory
    ledger: LedgerView
    plan: Plan
    status: FleetStatus
    at: float


class Converged(Struct, frozen=True):
    """How a convergence ended: `settled` says that nothing was left to do."""

    view: View
    outcomes: tuple[Outcome, ...]
    settled: bool


class ConvergeObserver(Protocol):
    """Told of what `converge` does; called from several threads."""

    def planned(self, plan: Plan) -> None:
        """The first plan, and each later one that is made of other specs than those before."""
        ...

    def action_started(self, action: Action) -> None: ...
    def action_progress(self, action_id: str, done: int, total: int) -> None: ...
    def action_ended(self, action: Action, outcome: Outcome) -> None: ...

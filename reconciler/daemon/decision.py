"""Plan, check the plan, and sum up: everything of a pass that is decided once the fleet was seen."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.plan import Plan
from reconciler.model.policy import Policy
from reconciler.model.status import FleetStatus
from reconciler.planner.fleet_status import status_of
from reconciler.planner.mobility import mobility as where_to
from reconciler.planner.soundness import sound_plan
from reconciler.planner.world import make_world


def decide(
    desired: DesiredState,
    inventory: Inventory,
    ledger: LedgerView,
    policy: Policy,
    now: float,
    *,
    mobility: bool = False,
) -> tuple[Plan, FleetStatus]:
    """The plan, which keeps all invariants, and the status that follows from it.

    With `mobility` the status tells where each VM could go. Raises PlanRejected for a plan that breaks an invariant.
    """
    world = make_world(desired, inventory, ledger, policy, now)
    plan = sound_plan(world)
    status = status_of(world, plan)
    return plan, replace(status, mobility=where_to(world)) if mobility else status

"""A plan that keeps every invariant: what breaks one is left out of it, with all that needs it, and says so."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.plan import Plan
from reconciler.model.resource import ObjectRef
from reconciler.planner.plan_check import PlanRejected, check, require_sound
from reconciler.planner.planner import plan_of
from reconciler.planner.world import World


def sound_plan(world: World) -> Plan:
    """The plan; raises PlanRejected if it breaks an invariant whatever is left out.

    One mistaken rule must not hold up the recovery of VMs that it does not concern.
    """
    plan, inputs = plan_of(world), (world.desired, world.inventory, world.ledger, world.policy)
    violations = check(plan, *inputs)
    if not violations:
        return plan
    doubted = _doubted(plan, violations)
    if not doubted:
        raise PlanRejected(violations)
    rest = plan_of(world, doubted)
    require_sound(rest, *inputs)
    return rest


def _doubted(plan: Plan, violations: Iterable[str]) -> dict[ObjectRef, str]:
    """Objects whose actions the violations name, with the first that does."""
    targets = {action.id: action.target for action in plan.actions}
    found: dict[ObjectRef, str] = {}
    for violation in violations:
        for action_id, target in targets.items():
            if action_id in violation:
                found.setdefault(target, violation)
    return found

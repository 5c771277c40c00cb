"""A plan that keeps every invariant: what breaks one is left out of it, with all that needs it, and says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from reconciler.model.plan import Plan
from reconciler.model.resource import ObjectRef
from reconciler.planner.plan_check import PlanRejected, check
from reconciler.planner.planner import plan_of
from reconciler.planner.world import World

_ROUNDS: Final = 3
"""How often something may be left out: what is left may break a rule for lack of it."""
_WORD: Final = re.compile(r"[\w.-]+")


def sound_plan(world: World) -> Plan:
    """The plan; raises PlanRejected if it breaks an invariant whatever is left out.

    One mistaken rule must not hold up the recovery of VMs that it does not concern.
    """
    inputs = (world.desired, world.inventory, world.ledger, world.policy, world.now)
    doubted: dict[ObjectRef, str] = {}
    plan = plan_of(world)
    violations = check(plan, *inputs)
    for _ in range(_ROUNDS):
        blamed = blame(plan, violations)
        if not violations or not blamed:
            break
        doubted = {**blamed, **doubted}
        plan = plan_of(world, doubted)
        violations = check(plan, *inputs)
    if violations:
        raise PlanRejected(violations)
    return plan


def blame(plan: Plan, violations: Iterable[str]) -> dict[ObjectRef, str]:
    """Objects that violations are about, each with the first that is: those of the actions that it names.

    Where it names none, it is about all that is planned for an object or on a host that it names.
    """
    found: dict[ObjectRef, str] = {}
    for violation in violations:
        words = set(_WORD.findall(violation))
        named = [action.target for action in plan.actions if action.id in violation]
        near = [action.target for action in plan.actions if action.target.name in words or action.host in words]
        for target in named or near:
            found.setdefault(target, violation)
    return found

"""So many VMs are disrupted on purpose in a time, and the next ones wait: a bad commit is seen before it is everywhere.

Recovery from failures neither waits nor counts; a VM that was taken down is brought up again, or to its end, at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.model.plan import DISRUPTIONS, Action, Unmet
from reconciler.model.policy import RateLimit
from reconciler.model.quantities import format_duration
from reconciler.model.resource import ObjectRef
from reconciler.model.spoken_time import span
from reconciler.planner.draft import Draft
from reconciler.planner.gate import disrupts
from reconciler.planner.world import World


def hold_over_rate(world: World, draft: Draft, causes: Mapping[str, Unmet]) -> dict[str, Unmet]:
    """Actions of `draft` that are too many for now, by id, each with its reason; none of those that are held already.

    Those that may begin are marked as counted, so that whoever carries them out writes that down first.
    """
    limit = world.policy.rate_limit
    if limit.disruptions is None:
        return {}
    by_target: dict[ObjectRef, list[Action]] = {}
    for name, action in draft.actions.items():
        if name not in causes and disrupts(world, action):
            by_target.setdefault(action.target, []).append(action)
    lately = disrupted_lately(world, limit)
    room = limit.disruptions - len(lately) - _under_way(world, lately)
    held: dict[str, Unmet] = {}
    for target, actions in sorted(by_target.items()):
        if _is_half_done(world, target, lately):
            continue
        room -= 1
        if room < 0:
            reason = _too_many(world, limit, lately, target, actions)
            held.update(dict.fromkeys((action.id for action in actions), reason))
        else:
            _count(draft, actions)
    return held


def disrupted_lately(world: World, limit: RateLimit) -> tuple[tuple[str, float], ...]:
    """Those that count still, oldest first."""
    return tuple((vm, at) for vm, at in world.ledger.disruptions if world.now - limit.per < at <= world.now)


def _under_way(world: World, lately: tuple[tuple[str, float], ...]) -> int:
    """VMs that are worked on and may be about to count: too many rather than too few."""
    known = {vm for vm, _ in lately}
    names = (target.partition("/") for target in world.ledger.in_flight)
    return sum(1 for kind, _, name in names if kind == "VirtualMachine" and name not in known)


def _is_half_done(world: World, target: ObjectRef, lately: tuple[tuple[str, float], ...]) -> bool:
    is_on = any(copy.domain.active for copy in world.copies.get(target.name, ()))
    return not is_on and any(vm == target.name for vm, _ in lately)


def _count(draft: Draft, actions: list[Action]) -> None:
    """The first of them: what comes after brings it to its end."""
    known = {action.id for action in actions}
    for action in actions:
        if known.isdisjoint(action.after):
            draft.actions[action.id] = replace(action, counts=True)


def _too_many(
    world: World, limit: RateLimit, lately: tuple[tuple[str, float], ...], target: ObjectRef, actions: list[Action]
) -> Unmet:
    worst = max((action.disruption for action in actions), key=DISRUPTIONS.index)
    what = ", ".join(dict.fromkeys(action.detail.partition(";")[0] for action in actions))
    when = f"; the next in {span(lately[0][1] + limit.per - world.now)}" if lately else ""
    return Unmet(
        target,
        "rate-limited",
        f"{what} ({worst}) waits: rateLimit allows {limit.disruptions} VM{'s' if limit.disruptions != 1 else ''} in"
        f" {format_duration(limit.per)}, and others go first{when}",
        severity="waiting",
        host=actions[0].host,
        hint="it goes on by itself then; `rateLimit` in the configuration says how fast",
        changes=tuple(dict.fromkeys(change for action in actions for change in action.changes)),
    )

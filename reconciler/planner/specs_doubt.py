"""What waits while the specs may be older than those that the fleet was led by: all that is not to keep it running."""

from __future__ import annotations

from typing import Final

from reconciler.model.next_command import ACCEPT_SPECS
from reconciler.model.plan import DISRUPTIONS, Action, Unmet, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import MigrateDomain, StartDomain
from reconciler.planner.draft import Draft
from reconciler.planner.world import World

SHORT: Final = "the specs may be older than those that the fleet was led by"
_KEEPS: Final[frozenset[Why]] = frozenset({"host-lost", "ended", "incomplete", "drift"})
"""What is done for these reasons, older specs ask for as much as newer ones."""


def hold_doubtful(world: World, draft: Draft) -> dict[str, Unmet]:
    """Actions that are not carried out by doubtful specs, by id; each object gets one reason.

    VMs of lost hosts are recovered, those that are off are started, and what that needs is made. It is done as these
    specs have it, short of what gives a VM another system.
    """
    if not world.desired.doubt:
        return {}
    _report_restrained(world, draft)
    kept = _kept(world, draft)
    held = [action for action in draft.actions.values() if action.id not in kept]
    by_target: dict[ObjectRef, list[Action]] = {}
    for action in held:
        by_target.setdefault(action.target, []).append(action)
    # What would be staged is not, so no restart waits for it.
    draft.unmet[:] = [each for each in draft.unmet if each.reason != "restart-pending" or each.target not in by_target]
    reasons = {target: _reason(target, actions) for target, actions in by_target.items()}
    return {action.id: reasons[action.target] for action in held}


def _report_restrained(world: World, draft: Draft) -> None:
    for target, why in sorted(world.desired.restrained.items()):
        detail = f"by the specs that the fleet was led by, {why}; that holds while these here are in doubt"
        draft.wait(target, "specs-doubted", detail, severity="info", hint=ACCEPT_SPECS)


def _reason(target: ObjectRef, actions: list[Action]) -> Unmet:
    what = ", ".join(dict.fromkeys(action.detail for action in actions))
    changes = tuple(dict.fromkeys(change for action in actions for change in action.changes))
    return Unmet(
        target,
        "specs-doubted",
        f"waits: {what}; {SHORT}",
        severity="blocked",
        host=actions[0].host,
        hint=ACCEPT_SPECS,
        changes=changes,
    )


def _kept(world: World, draft: Draft) -> set[str]:
    kept: set[str] = set()
    for action in draft.actions.values():
        if _keeps_it_running(world, action):
            needed = _with_all_before(draft, action)
            if not any(_is_another_system(draft.actions[name]) for name in needed):
                kept |= needed
    return kept


def _with_all_before(draft: Draft, action: Action) -> set[str]:
    found, left = {action.id}, [action]
    while left:
        before = set(left.pop().after) - found
        found |= before
        left += [draft.actions[name] for name in before]
    return found


def _keeps_it_running(world: World, action: Action) -> bool:
    kind, name = action.target
    if kind == "Host":
        return True  # it is only ever fenced
    if kind != "VirtualMachine":
        return False  # unless a VM needs it
    if name in world.ledger.migrations:
        return True  # what was begun is brought to its end
    if isinstance(action.step, MigrateDomain) and _is_yet_to_run(world, name):
        return True  # it was shut down for that
    return action.why in _KEEPS or (action.why == "run-strategy" and isinstance(action.step, StartDomain))


def _is_yet_to_run(world: World, vm: str) -> bool:
    """Whether it is off because of us, and is to run again."""
    placement = world.ledger.placements.get(vm)
    return placement is not None and not placement.ran


def _is_another_system(action: Action) -> bool:
    """Also of a restart that somebody's change makes necessary: it can wait."""
    is_lost = action.why in {"host-lost", "incomplete"}
    return not is_lost and DISRUPTIONS.index(action.disruption) >= DISRUPTIONS.index("rebuild")

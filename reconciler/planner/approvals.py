"""What the policy asks to be approved waits for a committed Approval that names it.

A fingerprint is of one object as its spec is now (or is not any more), of the domains that are it, and of how much that
hurts: it stays the same while the change is carried out, whatever else the plan holds, and in every later commit that
leaves the object as it is. What hurts less on the way is covered by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.plan import DISRUPTIONS, Action, Disruption, Unmet, WantedApproval, Why
from reconciler.model.resource import ObjectRef
from reconciler.planner.draft import Draft
from reconciler.planner.on_purpose import WITHOUT_A_GUEST, is_on_purpose
from reconciler.planner.world import World, same_kind

_ASKED_FOR: Final[frozenset[Why]] = WITHOUT_A_GUEST | {"requested"}
"""Rules said beforehand when what is kept goes, and a command was somebody's word."""


def hold_unapproved(world: World, draft: Draft, causes: Mapping[str, Unmet]) -> dict[str, Unmet]:
    """Actions of `draft` that nobody approved, by id, each with its reason; none of those that are held already."""
    asked = frozenset[Disruption](world.policy.require_approval)
    draft.wanted_approvals.clear()
    by_target: dict[ObjectRef, list[Action]] = {}
    for name, action in draft.actions.items() if asked else ():
        if name not in causes and needs_approval(world, action, asked):
            by_target.setdefault(action.target, []).append(action)
    held: dict[str, Unmet] = {}
    for target, actions in sorted(by_target.items()):
        worst = max((action.disruption for action in actions), key=DISRUPTIONS.index)
        uuids = [copy.domain.uuid for copy in world.copies.get(target.name, ())]
        approval = approved_by(world.desired, world.fleet, target, uuids, worst, world.now)
        if approval is None:
            wanted = _wanted(world, target, uuids, actions, worst)
            draft.wanted_approvals.append(wanted)
            held.update(dict.fromkeys((action.id for action in actions), _held(wanted, actions)))
        else:
            for action in actions:
                told = action.detail if action.approval else f"{action.detail}; approved by {approval}"
                draft.actions[action.id] = replace(action, detail=told, approval=approval.name)
    return held


def needs_approval(world: World, action: Action, asked: frozenset[Disruption]) -> bool:
    """Whether it hurts so much that somebody has to approve it, and is neither recovery nor commanded."""
    return action.disruption in asked and action.why not in _ASKED_FOR and is_on_purpose(world, action)


def approved_by(
    desired: DesiredState, fleet: str, target: ObjectRef, uuids: Iterable[str], worst: Disruption, now: float
) -> ObjectRef | None:
    """The Approval that counts now and lets `target` be hurt so much; None where there is none."""
    known = tuple(uuids)
    enough = {fingerprint(desired, fleet, target, known, each) for each in DISRUPTIONS[DISRUPTIONS.index(worst) :]}
    for name, approval in sorted(desired.approvals.items()):
        if approval.spec.counts(now) and not enough.isdisjoint(approval.spec.fingerprints):
            return ObjectRef("Approval", name)
    return None


def fingerprint(desired: DesiredState, fleet: str, target: ObjectRef, uuids: Iterable[str], worst: Disruption) -> str:
    """12 hexadecimal digits."""
    wanted = same_kind(desired, target).get(target.name)
    of_no_weight = {"metadata": {"labels", "annotations", "previous_name"}}
    wish = "removed" if wanted is None else wanted.model_dump_json(exclude=of_no_weight)
    parts = (fleet, str(target), *sorted(uuids), wish, worst)
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


def _wanted(
    world: World, target: ObjectRef, uuids: Iterable[str], actions: list[Action], worst: Disruption
) -> WantedApproval:
    what = ", ".join(dict.fromkeys(_words(actions)))
    return WantedApproval(target, worst, what, fingerprint(world.desired, world.fleet, target, uuids, worst))


def _words(actions: Iterable[Action]) -> Iterator[str]:
    for action in actions:
        yield action.detail.partition(";")[0]


def _held(wanted: WantedApproval, actions: list[Action]) -> Unmet:
    return Unmet(
        wanted.target,
        "approval-wanted",
        f"{wanted.what} ({wanted.disruption}) waits for somebody's approval",
        severity="blocked",
        host=actions[0].host,
        hint=f"commit an Approval with fingerprints: [{wanted.fingerprint}]",
        changes=tuple(dict.fromkeys(change for action in actions for change in action.changes)),
    )

"""A plan's actions put together by the object that they serve: what a reader thinks in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from reconciler.model.plan import DISRUPTIONS, Action, Disruption, FieldChange, Plan, Sign, Why
from reconciler.model.resource import KINDS, ObjectRef

_WHY_WORDS: Final[dict[Why, str]] = {
    "missing": "new",
    "spec-change": "spec changed",
    "drift": "drift",
    "run-strategy": "run strategy",
    "ended": "ended by itself",
    "removed": "left the specs",
    "unused": "unused",
    "incomplete": "unfinished",
    "host-lost": "host lost",
    "restore": "restore",
    "placement-rule": "placement",
    "drain": "host to be emptied",
    "balance": "balance",
    "expired": "kept for its time",
    "failback": "failback",
    "first-version": "first version",
    "unrecorded": "not on record",
    "requested": "asked for",
    "retention": "retention",
    "schedule": "schedule",
    "adopt": "taken over",
}
SIGNS: Final[dict[Sign, str]] = {"create": "+", "change": "~", "destroy": "-", "move": "→"}
_KIND_ORDER: Final = {kind: index for index, kind in enumerate(KINDS)}


class ObjectChange(Struct, frozen=True):
    """Everything that a plan does for one object, its actions in the plan's order."""

    target: ObjectRef
    sign: Sign
    hosts: tuple[str, ...]
    """Hosts that it happens on; empty for what happens on the controller alone."""
    why: str
    disruption: Disruption
    actions: tuple[Action, ...]
    changes: tuple[FieldChange, ...]


def by_object(plan: Plan) -> tuple[ObjectChange, ...]:
    """The plan's actions by object, in the order of kinds and names."""
    groups: dict[ObjectRef, list[Action]] = {}
    for action in plan.actions:
        groups.setdefault(action.target, []).append(action)
    return tuple(_object_change(target, groups[target]) for target in sorted(groups, key=in_order))


def in_order(target: ObjectRef) -> tuple[int, str]:
    """Sort key: kinds in the order in which they build on each other, then names."""
    return _KIND_ORDER[target.kind], target.name


def worst(disruptions: Iterable[Disruption]) -> Disruption:
    """The worst of them."""
    return max(disruptions, key=DISRUPTIONS.index, default="none")


def _object_change(target: ObjectRef, actions: list[Action]) -> ObjectChange:
    return ObjectChange(
        target=target,
        sign=_sign(actions),
        hosts=_hosts(actions),
        why=", ".join(dict.fromkeys(_WHY_WORDS[action.why] for action in actions)),
        disruption=worst(action.disruption for action in actions),
        actions=tuple(actions),
        changes=_changes(actions),
    )


def _hosts(actions: list[Action]) -> tuple[str, ...]:
    """Where it happens; for a VM where it runs, even if another host of a shared pool makes its disks."""
    of_domain = [action for action in actions if action.kind.endswith("-domain")]
    return tuple(sorted({action.host for action in of_domain or actions if action.host is not None}))


def _sign(actions: list[Action]) -> Sign:
    """What happens to the object as a whole, which one of its actions alone may not tell."""
    signs = {action.sign for action in actions}
    if len(signs) == 1:
        return signs.pop()
    kinds = {action.kind for action in actions}
    if "move" in signs:
        return "move"
    if "undefine-domain" in kinds:
        return "destroy"
    if actions[0].target.kind != "VirtualMachine" or "define-domain" in kinds:
        return "create"
    return "change"


def _changes(actions: list[Action]) -> tuple[FieldChange, ...]:
    """Each changed field once, by its worst disruption."""
    changes: dict[str, FieldChange] = {}
    for change in (change for action in actions for change in action.changes):
        known = changes.get(change.field)
        if known is None or DISRUPTIONS.index(change.disruption) > DISRUPTIONS.index(known.disruption):
            changes[change.field] = change
    return tuple(changes.values())

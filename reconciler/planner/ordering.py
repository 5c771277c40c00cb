"""The order of a plan, and what is left of it once failures that need time are taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.model.ledger import Failure, LedgerView
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import Action, Unmet
from reconciler.model.resource import ObjectRef
from reconciler.planner.draft import Draft

_RANK: Final = {
    kind: rank
    for rank, kind in enumerate(
        (
            "define-pool",
            "start-pool",
            "define-network",
            "start-network",
            "fetch-image",
            "upload-image",
            "create-volume",
            "grow-volume",
            "grow-disk",
            "write-seed",
            "define-domain",
            "redefine-domain",
            "set-autostart",
            "stop-domain",
            "start-domain",
            "undefine-domain",
            "delete-volume",
        )
    )
}


def ordered(actions: Mapping[str, Action]) -> tuple[Action, ...]:
    """Actions after all that they come after, otherwise by kind, object and id: the same set has the same order."""
    depth: dict[str, int] = {}

    def depth_of(name: str) -> int:
        if name not in depth:
            depth[name] = 0
            depth[name] = 1 + max((depth_of(before) for before in actions[name].after), default=-1)
        return depth[name]

    return tuple(
        sorted(actions.values(), key=lambda action: (depth_of(action.id), _RANK[action.kind], action.target, action.id))
    )


def hold_back(draft: Draft, ledger: LedgerView, now: float) -> tuple[str, ...]:
    """Take out actions that wait after a failure or whose object is still being worked on, and all that need them.

    Returns the ids of what was taken out; each object of theirs gets its reason.
    """
    causes: dict[str, Unmet] = {}
    for action in draft.actions.values():
        reason = _why_not_now(action, ledger, now)
        if reason is not None:
            causes[action.id] = reason
    _spread_to_dependants(draft, causes)
    for action_id in causes:
        del draft.actions[action_id]
    draft.unmet += dict.fromkeys(causes.values())
    return tuple(sorted(causes))


def _why_not_now(action: Action, ledger: LedgerView, now: float) -> Unmet | None:
    if str(action.target) in ledger.in_flight:
        return Unmet(action.target, "in-progress", "an earlier pass is still at it", host=action.host)
    failure = ledger.failures.get(action.id)
    if failure is None or failure.inputs != action_inputs(action) or now >= failure.not_before:
        return None
    return _failed(action, failure, now)


def _failed(action: Action, failure: Failure, now: float) -> Unmet:
    wait = max(1, round(failure.not_before - now))
    tries = f"{failure.attempts} {'try' if failure.attempts == 1 else 'tries'}"
    return Unmet(
        action.target,
        "failed" if failure.permanent else "backoff",
        f"{action.detail}: {failure.message} ({tries}, next in {wait} s)",
        severity="blocked" if failure.permanent else "waiting",
        host=action.host,
        hint=f"reconciler why {action.target}",
    )


def _spread_to_dependants(draft: Draft, causes: dict[str, Unmet]) -> None:
    """Whatever comes after something held is held; another object says what it waits for."""
    while True:
        found = {
            action.id: causes[before]
            for action in draft.actions.values()
            if action.id not in causes
            for before in action.after
            if before in causes
        }
        if not found:
            return
        for action_id, cause in found.items():
            target = draft.actions[action_id].target
            causes[action_id] = cause if cause.target == target else _waits_for(target, cause)


def _waits_for(target: ObjectRef, cause: Unmet) -> Unmet:
    return Unmet(
        target,
        cause.reason,
        f"waits for {cause.target}: {cause.detail}",
        severity="waiting",
        host=cause.host,
        hint=f"reconciler why {cause.target}",
    )

"""The order of a plan, and what is left of it once failures that need time are taken out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from reconciler.model.ledger import Failure
from reconciler.model.next_command import NextCommand
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import Action, Unmet
from reconciler.model.resource import ObjectRef
from reconciler.model.restores import SwitchDisks
from reconciler.model.steps import MigrateDomain, StartDomain, StopDomain, is_followed_up
from reconciler.planner.approvals import hold_unapproved
from reconciler.planner.captures import holds_vm, words
from reconciler.planner.cold_moves import waits_a_moment
from reconciler.planner.disk_locks import locked_disk
from reconciler.planner.draft import Draft
from reconciler.planner.gate import hold_at_gate
from reconciler.planner.rate_limit import hold_over_rate
from reconciler.planner.specs_doubt import hold_doubtful
from reconciler.planner.world import World

_RANK: Final = {
    kind: rank
    for rank, kind in enumerate(
        (
            "fence-host",
            "define-pool",
            "start-pool",
            "define-network",
            "start-network",
            "fetch-image",
            "upload-image",
            "create-volume",
            "restore-disk",
            "grow-volume",
            "grow-disk",
            "write-seed",
            "define-domain",
            "adopt-domain",
            "rename-domain",
            "redefine-domain",
            "set-autostart",
            "edit-live",
            "migrate-domain",
            "stop-domain",
            "switch-disks",
            "start-domain",
            "undefine-domain",
            "delete-version",
            "read-versions",
            "capture-image",
            "delete-volume",
            "end-drill",
            "drill-image",
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


def hold_back(world: World, draft: Draft, doubted: Mapping[ObjectRef, str]) -> tuple[str, ...]:
    """Take out actions that are held, wait after a failure or whose object is worked on, and all that need them.

    So it goes with those of objects that are `doubted`: a rule is broken by what was planned for them.

    Returns the ids of what was taken out; each object of theirs gets its reason.
    """
    causes = _causes(world, draft, doubted)
    if _start_instead(world, draft, causes):
        causes = _causes(world, draft, doubted)
    for action_id in causes:
        del draft.actions[action_id]
    draft.unmet += dict.fromkeys(causes.values())
    return tuple(sorted(causes))


def _causes(world: World, draft: Draft, doubted: Mapping[ObjectRef, str]) -> dict[str, Unmet]:
    """Of each action that is to be taken out: why."""
    causes: dict[str, Unmet] = {**hold_doubtful(world, draft), **draft.held}
    for action in draft.actions.values():
        if action.id in causes:
            continue
        violation = doubted.get(action.target)
        reason = _why_not_now(world, action) if violation is None else _unsound(action, violation)
        if reason is not None:
            causes[action.id] = reason
    _spread(draft, causes)
    for hold in (hold_unapproved, hold_at_gate, hold_over_rate):
        gated = hold(world, draft, causes)
        if gated:
            causes.update(gated)
            _spread(draft, causes)
    return causes


def _spread(draft: Draft, causes: dict[str, Unmet]) -> None:
    _spread_to_dependants(draft, causes)
    _spread_to_restarts(draft, causes)


def _start_instead(world: World, draft: Draft, causes: Mapping[str, Unmet]) -> bool:
    """What is off for a move that has to wait is started where it is, unless that is but for a moment."""
    starts = {
        start.id: start
        for move, start in draft.instead.items()
        if move in causes and not _is_for_a_moment(world, move, causes[move])
    }
    draft.actions.update(starts)
    return bool(starts)


def _is_for_a_moment(world: World, move: str, cause: Unmet) -> bool:
    if cause.reason == "in-progress":
        return True
    return cause.reason == "backoff" and waits_a_moment(world.ledger.failures.get(move))


def _why_not_now(world: World, action: Action) -> Unmet | None:
    if str(action.target) in world.ledger.in_flight:
        return Unmet(action.target, "in-progress", "an earlier pass is still at it", host=action.host)
    is_held = action.host is not None and world.is_paused(ObjectRef("Host", action.host))
    if action.host is not None and is_held and not is_followed_up(action.step):
        host = ObjectRef("Host", action.host)
        detail = f"{host} is held; changes on it wait"
        return Unmet(action.target, "paused", detail, host=action.host, hint=world.how_to_resume(host))
    held_by = holds_vm(world, action.target.name) if isinstance(action.step, StartDomain) else None
    if held_by is not None and held_by.step.is_off:
        detail = f"it starts once its disks are copied while it is off: {words(held_by)}"
        return Unmet(action.target, "capture-waits", detail, host=action.host)
    failure = world.ledger.failures.get(action.id)
    if failure is None or not failure.waits(world.now) or failure.inputs != action_inputs(action):
        return None
    return _failed(world, action, failure)


def _unsound(action: Action, violation: str) -> Unmet:
    detail = f"nothing is done to it, as what was planned breaks a rule: {violation}"
    hint = "this is a mistake in the planner; report it with the output of `reconciler plan --json`"
    return Unmet(action.target, "unsound", detail, severity="blocked", host=action.host, hint=hint)


def _failed(world: World, action: Action, failure: Failure) -> Unmet:
    wait = max(1, math.ceil(failure.waits(world.now)))
    tries = f"{failure.attempts} {'try' if failure.attempts == 1 else 'tries'}"
    when = f"{tries}, next in {wait} s"
    return locked_disk(world.ledger, action, failure, when) or Unmet(
        action.target,
        "failed" if failure.permanent else "backoff",
        f"{action.detail}: {failure.message} ({when})",
        severity="blocked" if failure.permanent else "waiting",
        host=action.host,
        hint=NextCommand("resume", str(action.target)),
    )


def _spread_to_dependants(draft: Draft, causes: dict[str, Unmet]) -> None:
    """Whatever comes after something held is held; another object says what it waits for."""
    needed_by: dict[str, list[str]] = {}
    for action in draft.actions.values():
        for before in action.after:
            needed_by.setdefault(before, []).append(action.id)
    held = sorted(causes)
    while held:
        before = held.pop()
        for action_id in sorted(needed_by.get(before, ())):
            if action_id not in causes:
                target, cause = draft.actions[action_id].target, causes[before]
                causes[action_id] = cause if cause.target == target else _waits_for(target, cause)
                held.append(action_id)


def _spread_to_restarts(draft: Draft, causes: dict[str, Unmet]) -> None:
    """A guest is not shut down for a restart whose start would have to wait, nor for a move that would."""
    for action_id in sorted(causes):
        action = draft.actions[action_id]
        if isinstance(action.step, StartDomain | MigrateDomain | SwitchDisks):
            for before in action.after:
                if before not in causes and isinstance(draft.actions[before].step, StopDomain):
                    causes[before] = causes[action_id]


def _waits_for(target: ObjectRef, cause: Unmet) -> Unmet:
    detail = cause.detail.removeprefix("waits for ")
    about = "" if detail != cause.detail else f"{cause.target}: "
    return Unmet(
        target,
        cause.reason,
        f"waits for {about}{detail}",
        severity="waiting",
        host=cause.host,
        hint=cause.hint or NextCommand("why", str(cause.target)),
    )

"""The order of a plan, and what is left of it once failures that need time are taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.model.ledger import Failure, LedgerView
from reconciler.model.plan import Action, inputs_hash
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


def hold_back(draft: Draft, ledger: LedgerView, now: float) -> None:
    """Take out actions that wait after a failure or are still being done, and all that come after them."""
    held: dict[str, str] = {}
    for action in list(draft.actions.values()):
        if action.id in ledger.in_flight:
            draft.wait(action.target, "in-progress", action.detail, host=action.host)
            held[action.id] = action.id
            continue
        failure = ledger.failures.get(action.id)
        if failure is not None and failure.inputs == inputs_hash(action) and now < failure.not_before:
            _say(draft, action, failure, now)
            held[action.id] = action.id
    if held:
        _drop(draft, held.keys())


def _say(draft: Draft, action: Action, failure: Failure, now: float) -> None:
    wait = max(1, round(failure.not_before - now))
    tries = f"{failure.attempts} {'try' if failure.attempts == 1 else 'tries'}"
    draft.wait(
        action.target,
        "failed" if failure.permanent else "backoff",
        f"{action.detail}: {failure.message} ({tries}, next in {wait} s)",
        severity="blocked" if failure.permanent else "waiting",
        host=action.host,
        hint=f"reconciler why {action.target}",
    )


def _drop(draft: Draft, held: Iterable[str]) -> None:
    """Remove the held actions and, again and again, whatever comes after something removed."""
    gone = set(held)
    while True:
        dependants = {a.id for a in draft.actions.values() if a.id not in gone and not gone.isdisjoint(a.after)}
        if not dependants:
            break
        gone |= dependants
    for name in gone:
        del draft.actions[name]

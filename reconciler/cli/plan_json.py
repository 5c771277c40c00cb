"""A plan for programs: the JSON of `plan --json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.inventory import UnreadHost
from reconciler.model.mass_deletion import MassDeletion
from reconciler.model.plan import Action, FieldChange, Plan, Unmet, WantedApproval

_VERSION = 1


def plan_json(plan: Plan, unread: Mapping[str, UnreadHost]) -> dict[str, Any]:
    """The plan as plain data; steps stay out of it, for they may hold secrets."""
    summary = plan.summary
    return {
        "version": _VERSION,
        "generation": plan.generation,
        "fingerprint": plan.fingerprint,
        "summary": {
            "create": summary.create,
            "change": summary.change,
            "destroy": summary.destroy,
            "move": summary.move,
            "blocked": summary.blocked,
            "waiting": summary.waiting,
            "unchanged": summary.unchanged,
        },
        "worst": plan.worst,
        "actions": [_action(action) for action in plan.actions],
        "unmet": [unmet_json(item) for item in plan.unmet],
        "unseen": [_unseen(name, unread.get(name)) for name in plan.unseen],
        "approvals": [_wanted(each) for each in plan.wanted_approvals],
        "massDeletion": None if plan.mass_deletion is None else _mass_deletion(plan.mass_deletion),
    }


def _wanted(wanted: WantedApproval) -> dict[str, str]:
    return {
        "target": str(wanted.target),
        "disruption": wanted.disruption,
        "what": wanted.what,
        "fingerprint": wanted.fingerprint,
    }


def _mass_deletion(mass: MassDeletion) -> dict[str, Any]:
    return {
        "fingerprint": mass.fingerprint,
        "deletions": [{"vm": deletion.vm, "what": deletion.what} for deletion in mass.deletions],
        "limit": mass.limit,
        "managed": mass.managed,
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "id": action.id,
        "kind": action.kind,
        "sign": action.sign,
        "target": str(action.target),
        "host": action.host,
        "why": action.why,
        "detail": action.detail,
        "disruption": action.disruption,
        "changes": [_change(change) for change in action.changes],
        "after": list(action.after),
    }


def _change(change: FieldChange) -> dict[str, str]:
    return {"field": change.field, "old": change.old, "new": change.new, "disruption": change.disruption}


def unmet_json(item: Unmet) -> dict[str, Any]:
    """One unmet spec as plain data."""
    return {
        "target": str(item.target),
        "reason": item.reason,
        "detail": item.detail,
        "severity": item.severity,
        "host": item.host,
        "hint": item.hint,
        "perHost": dict(item.per_host),
        "changes": [_change(change) for change in item.changes],
    }


def _unseen(name: str, host: UnreadHost | None) -> dict[str, Any]:
    if host is None:
        return {"host": name, "error": "", "hint": "", "lastSeen": None}
    return {"host": name, "error": host.error, "hint": host.hint, "lastSeen": host.last_seen}

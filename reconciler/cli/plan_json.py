"""A plan for programs: the JSON of `plan --json`, and the file that `apply --plan` takes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import UsageError
from reconciler.model.inventory import UnreadHost
from reconciler.model.plan import Action, FieldChange, Plan, Unmet

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


def write_plan_file(path: Path, plan: Plan, unread: Mapping[str, UnreadHost]) -> None:
    """Write the plan, readable by its owner alone; raises UsageError where it can't be written."""
    text = json.dumps(plan_json(plan, unread), ensure_ascii=False, indent=2) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: the plan can't be written: {error.strerror}", hint="name another --out") from error


def read_plan_fingerprint(path: Path) -> str:
    """The fingerprint of a plan file; raises UsageError where it is none of ours."""
    again = "make it again: reconciler plan DIR --out FILE"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: the plan can't be read: {error.strerror}", hint=again) from error
    except ValueError as error:
        raise UsageError(f"{path}: this is no plan", hint=again) from error
    if not isinstance(data, dict) or data.get("version") != _VERSION or not isinstance(data.get("fingerprint"), str):
        raise UsageError(f"{path}: this is no plan, or one of another version", hint=again)
    fingerprint: str = data["fingerprint"]
    return fingerprint

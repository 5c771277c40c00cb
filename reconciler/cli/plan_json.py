"""A plan for programs: the JSON of `plan --json`, and the file that `apply --plan` takes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import UsageError
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


def write_plan_file(path: Path, plan: Plan, unread: Mapping[str, UnreadHost]) -> None:
    """Write the plan, whole or not at all, readable by its owner alone.

    Raises UsageError where it can't be written, or `path` is something else than a file: links are not followed.
    """
    text = json.dumps(plan_json(plan, unread), ensure_ascii=False, indent=2) + "\n"
    try:
        _refuse_what_is_no_file(path)
        _replace_whole(path, text)
    except OSError as error:
        raise UsageError(f"{path}: the plan can't be written: {error.strerror}", hint="name another --out") from error


def _refuse_what_is_no_file(path: Path) -> None:
    """Somebody else may have made a link in a shared folder; and /dev/null is not to be replaced by a plan."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
        raise UsageError(f"{path}: the plan is not written there: it is {what}", hint="name another --out")


def _replace_whole(path: Path, text: str) -> None:
    from tempfile import mkstemp  # noqa: PLC0415  for --out only

    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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

"""The plan while it is being made: actions by id, reasons by object."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct, field

from reconciler.model.plan import (
    Action,
    Disruption,
    FieldChange,
    Severity,
    Sign,
    Unmet,
    UnmetReason,
    WantedApproval,
    Why,
)
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import Step


class Draft(Struct):
    """Collects what the parts of the planner decide; an action asked for twice is there once."""

    actions: dict[str, Action] = field(default_factory=dict)
    unmet: list[Unmet] = field(default_factory=list)
    held: dict[str, Unmet] = field(default_factory=dict)
    """Actions that are wanted and must wait, by id."""
    instead: dict[str, Action] = field(default_factory=dict)
    """By the id of a move of what is off and to be on: its start where it is, for where the move has to wait."""
    wanted_approvals: list[WantedApproval] = field(default_factory=list)
    """What waits for somebody's word."""
    remembered: set[str] = field(default_factory=set)
    """Ids of actions that failed, and because of which the plan is another one: those failures still count."""

    def act(
        self,
        step: Step,
        *,
        target: ObjectRef,
        host: str | None,
        sign: Sign,
        why: Why,
        detail: str,
        disruption: Disruption = "none",
        changes: Iterable[FieldChange] = (),
        after: Iterable[str] = (),
        part: str = "",
    ) -> str:
        """Add an action and return its id; `part` tells apart actions of one kind on one object (a disk's name)."""
        kind = kind_of(step)
        name = f"{kind}:{target}" + (f":{part}" if part else "") + (f"@{host}" if host else "")
        if name not in self.actions:
            self.actions[name] = Action(
                id=name,
                kind=kind,
                sign=sign,
                target=target,
                host=host,
                why=why,
                detail=detail,
                disruption=disruption,
                step=step,
                changes=tuple(changes),
                after=tuple(dict.fromkeys(after)),
            )
        return name

    def drop(self, action: str) -> None:
        """Forget an action that no other one comes after; not before a checkpoint that may be rolled back to."""
        self.actions.pop(action, None)

    def checkpoint(self) -> tuple[int, int]:
        """A point to roll back to."""
        return (len(self.actions), len(self.unmet))

    def rollback(self, checkpoint: tuple[int, int]) -> bool:
        """Forget what was added since; return whether there were actions, and keep everything if there were none."""
        actions, unmet = checkpoint
        if len(self.actions) == actions:
            return False
        for _ in range(len(self.actions) - actions):
            self.actions.popitem()
        del self.unmet[unmet:]
        return True

    def wait(
        self,
        target: ObjectRef,
        reason: UnmetReason,
        detail: str,
        *,
        severity: Severity = "waiting",
        host: str | None = None,
        hint: str = "",
        per_host: Iterable[tuple[str, str]] = (),
        changes: Iterable[FieldChange] = (),
    ) -> None:
        """Say why a spec is not met now."""
        self.unmet.append(
            Unmet(
                target=target,
                reason=reason,
                detail=detail,
                severity=severity,
                host=host,
                hint=hint,
                per_host=tuple(per_host),
                changes=tuple(changes),
            )
        )


def kind_of(step: Step) -> str:
    """`define-domain` of a DefineDomain."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(step).__name__).lower()

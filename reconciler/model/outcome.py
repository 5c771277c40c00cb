"""What became of an action."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from pydantic import BaseModel

from reconciler.model.plan import Action

OutcomeStatus = Literal[
    "done",  # the host is as the action wanted it, by our doing or already
    "refused",  # a precondition no longer holds; nothing was changed
    "failed",  # tried, and the host or the image said no
    "skipped",  # an action that it needs did not succeed
    "handed-back",  # stopped before its end, or never begun, because the pass was asked to stop
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the action `action_id`."""

    action_id: str
    status: OutcomeStatus
    message: str = ""
    """For people; empty where all is said by the status."""
    transient: bool = False
    """Whether the same action may succeed when tried again with nothing changed by people."""
    seconds: float = 0.0
    hint: str = ""
    """The next step for people, in the imperative, or empty."""


def action_inputs(action: Action) -> str:
    """Hash of all that the action would do: a failure is held against the same action only, not a changed one."""
    return hashlib.sha256(_canonical((action.host, action.step)).encode()).hexdigest()[:16]


def _canonical(value: object) -> str:
    """A text that differs wherever the value does; unlike repr, it covers fields that are not to be shown."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if is_dataclass(value):
        inner = ",".join(f"{field.name}={_canonical(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__name__}({inner})"
    if isinstance(value, tuple):
        return f"({','.join(_canonical(item) for item in value)})"
    return repr(value)

"""What became of an action."""

from __future__ import annotations

import hashlib
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace
from pydantic import BaseModel

from reconciler.model.capture_steps import CaptureImage
from reconciler.model.plan import Action

OutcomeStatus = Literal[
    "done",  # the host is as the action wanted it, by our doing or already
    "refused",  # a precondition no longer holds; nothing was changed
    "failed",  # tried, and the host or the image said no
    "skipped",  # an action that it needs did not succeed
    "handed-back",  # stopped before its end, or never begun, because the pass was asked to stop
]


class Outcome(Struct, frozen=True):
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
    step = action.step
    if isinstance(step, CaptureImage) and not step.begun:
        # What it is called by the time of day makes no other one of it.
        disks = tuple(replace(disk, target="", copy="") for disk in step.disks)
        step = replace(step, stamp="", manifest="", checkpoint="", disks=disks)
    return hashlib.sha256(_canonical((action.host, step)).encode()).hexdigest()[:16]


def _canonical(value: object) -> str:
    """A text that differs wherever the value does; unlike repr, it covers fields that are not to be shown."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if isinstance(value, Struct):
        inner = ",".join(f"{name}={_canonical(getattr(value, name))}" for name in value.__struct_fields__)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, tuple):
        return f"({','.join(_canonical(item) for item in value)})"
    return repr(value)

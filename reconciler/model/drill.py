"""Drills: the newest version of an image is booted to see that it can be restored, and is thrown away again."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field

from reconciler.model.cron import Cron
from reconciler.model.quantities import Duration
from reconciler.model.resource import Line, Model

MAX_PATTERN: Final = 200


def _checked_pattern(value: str) -> str:
    if len(value) > MAX_PATTERN:
        raise ValueError(f"{len(value)} characters are too many; the most is {MAX_PATTERN}")
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from error
    return value


class ConsoleExpectation(Model):
    """What the guest is to print on its serial console."""

    console: Annotated[Line, AfterValidator(_checked_pattern), Field(min_length=1, examples=["login:"])]
    """A regular expression that a line has to match somewhere, such as `login:`."""


class Drill(Model):
    """When the newest version is booted as a throw-away VM without a way out, and what it has to do then."""

    schedule: Cron
    """When, in UTC, such as `0 4 * * 0`; what was missed is made up for once."""
    expect: Literal["agent-ping"] | ConsoleExpectation = "agent-ping"
    """What proves that it works: its guest agent answers, or its console prints something."""
    timeout: Duration = 300.0
    """How long its guest has for that, from its start."""


class DrillResult(Struct, frozen=True):
    """How the last drill of an image ended. Wall times in seconds."""

    stamp: str
    """Of the version that was booted."""
    at: float
    passed: bool
    detail: str
    """In a sentence, for people."""
    seconds: float
    """How long its guest took, or was given."""
    passed_stamp: str = ""
    """Of the version that passed last; empty if none ever did."""
    passed_at: float = 0.0


class DrillDisk(Struct, frozen=True):
    """One disk of the throw-away VM: an overlay on a disk of the version, which is only read; bytes."""

    volume: str
    capacity: int
    chain: tuple[str, ...]
    """Volumes beneath it, the version's own first, then what that holds the difference to."""

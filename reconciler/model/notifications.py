"""Who is told of what, and what there is to tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final, Literal

from msgspec import Struct
from pydantic import Field

from reconciler.model.ledger_store import Secret
from reconciler.model.resource import Items, Kind, Labels, Line, Model, Name

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
Tone = Literal["info", "success", "warning", "failure"]
"""What apprise calls the type of a notification."""
_TONES: Final[Mapping[Severity, Tone]] = {"info": "info", "warning": "warning", "critical": "failure"}


class Receiver(Model):
    """Somebody who is told what comes to be the matter with the fleet, and that it is over."""

    name: Name
    """What the receiver is called, in logs and in the ledger."""
    url: Secret
    """Where to, as apprise writes it, such as `ntfy://…`: `{file: NAME}` of the credentials, or `{env: NAME}`."""
    severity: Severity = "warning"
    """What is less than that is not told."""
    kinds: Items[Kind] = ()
    """Objects of these kinds alone; all, and the fleet as a whole, where none is named."""
    names: Items[Line] = ()
    """Objects of these names alone, such as `web-*`."""
    match_labels: Labels = Field(default_factory=dict)
    """Objects with these labels alone."""
    resolved: bool = True
    """Whether to tell that it is over."""


class Matter(Struct, frozen=True):
    """Something that is the matter now; the same `key` and `state` is told once."""

    key: str
    state: str
    severity: Severity
    object: str
    """`Kind/name`, or `fleet`."""
    title: str
    """In one line."""
    detail: str = ""


class Matters(Struct, frozen=True):
    """All that is the matter as of one pass."""

    now: tuple[Matter, ...]
    unsure: frozenset[str] = frozenset()
    """Keys of which this pass can't tell: what was told of them stands."""
    labels: Mapping[str, Mapping[str, str]] = {}
    """By object."""
    is_partial: bool = False
    """Whether no pass came to a plan: nothing is said to be over then."""


def wants(receiver: Receiver, matter: Matter, labels: Mapping[str, str]) -> bool:
    """Whether the receiver is told of that."""
    kind, _, name = matter.object.partition("/")
    return (
        SEVERITIES.index(matter.severity) >= SEVERITIES.index(receiver.severity)
        and (not receiver.kinds or kind in receiver.kinds)
        and (not receiver.names or any(fnmatchcase(name, pattern) for pattern in receiver.names))
        and receiver.match_labels.items() <= labels.items()
    )


def tone_of(news: Iterable[Matter]) -> Tone:
    """That of the worst; without any news something is over."""
    worst = max((matter.severity for matter in news), key=SEVERITIES.index, default=None)
    return "success" if worst is None else _TONES[worst]

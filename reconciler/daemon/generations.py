"""Whether the machines of controllers have the same specs: what the leader acted on is in etcd, in its last pass."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import StoreUnavailable
from reconciler.leadership.keys import Keys
from reconciler.leadership.store import Store
from reconciler.specfiles.directory import read_directory
from reconciler.specfiles.generation import generation_of

log = structlog.get_logger()

LOOK_EVERY: Final = 20.0
"""Seconds; all files are read for it."""


class _Pass(Struct, frozen=True):
    id: int
    generation: str


def own_generation(directory: Path) -> str:
    """Of the specs of this machine, as it is now."""
    return generation_of(directory, read_directory(directory).contents)


def led_generation(store: Store, keys: Keys) -> str:
    """What the last pass of whoever led was planned from, empty for none; raises StoreUnavailable."""
    rows = store.read(f"{keys.rows}pass/").items
    newest = max((msgspec.json.decode(row.value, type=_Pass) for row in rows), key=lambda each: each.id, default=None)
    return newest.generation if newest else ""


def difference(own: str, led: str) -> str:
    """A sentence; empty where they are the same, or nobody ever led."""
    if not led or own == led:
        return ""
    return (
        f"the specs of this machine are {own[:20]}, and the leader acted on {led[:20]}:"
        " if this one comes to lead with them, it only keeps the fleet running, unless Git says that they are newer"
    )


class GenerationWatch:
    """For who stands by: warns once for each difference."""

    def __init__(self, directory: Path, store: Store, keys: Keys, clock: Clock) -> None:
        self._directory = directory
        self._store = store
        self._keys = keys
        self._clock = clock
        self._next = 0.0
        self._told = ""

    def look(self) -> None:
        """Called again and again; looks as often as is worth it."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + LOOK_EVERY
        try:
            led = led_generation(self._store, self._keys)
        except StoreUnavailable:
            return  # as is told elsewhere
        found = difference(own_generation(self._directory), led)
        if found and found != self._told:
            log.warning("specs.differ", detail=found)
        self._told = found

"""Whether the machines of controllers have the same specs: those that the fleet is led by are on record in etcd."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from reconciler.clock import Clock
from reconciler.errors import StoreUnavailable
from reconciler.leadership.keys import Keys
from reconciler.leadership.store import Store
from reconciler.ledger.stored import Led, led_by
from reconciler.specfiles.directory import read_directory
from reconciler.specfiles.generation import content_hash, generation_of

log = structlog.get_logger()

LOOK_EVERY: Final = 20.0
"""Seconds; all files are read for it."""


def own_specs(directory: Path) -> Led:
    """Of this machine, as they are now."""
    contents = read_directory(directory).contents
    return Led(generation_of(directory, contents), content_hash(contents))


def difference(own: Led, led: Led) -> str:
    """A sentence; empty where they are the same, by name or by content, or nobody ever led."""
    if not led.generation or own.generation == led.generation or own.content == led.content:
        return ""
    return (
        f"the specs of this machine are {own.generation[:20]}, and the fleet is led by {led.generation[:20]}: if this"
        " controller comes to lead with its own, it only keeps the fleet running, unless Git says that they are newer"
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
        self.own = Led()
        """As it was found last."""

    def look(self) -> None:
        """Called again and again; looks as often as is worth it."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + LOOK_EVERY
        try:
            led = led_by(self._store, self._keys)
        except StoreUnavailable:
            return  # as is told elsewhere
        self.own = own_specs(self._directory)
        found = difference(self.own, led)
        if found and found != self._told:
            log.warning("specs.differ", detail=found)
        self._told = found

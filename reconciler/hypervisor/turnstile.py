"""Lets a few hosts be read at a time: answers that come all at once only slow one another down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from reconciler.clock import Clock


class Turnstile:
    """At most `size` inside at once, not counting those that have been for longer than `patience` seconds.

    So whoever hangs inside holds up nobody for longer than that.
    """

    def __init__(self, clock: Clock, *, size: int, patience: float) -> None:
        self._clock: Final = clock
        self._size: Final = size
        self._patience: Final = patience
        self._moved: Final = threading.Condition()
        self._entered: Final[dict[object, float]] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place, hold it for as long as the block lasts."""
        visitor = object()
        with self._moved:
            while (wait := self._seconds_to_wait()) > 0:
                self._moved.wait(wait)
            self._entered[visitor] = self._clock.monotonic()
        try:
            yield
        finally:
            with self._moved:
                del self._entered[visitor]
                self._moved.notify()

    def _seconds_to_wait(self) -> float:
        """Zero if there is a place, else when the one who counts least long stops counting."""
        now = self._clock.monotonic()
        left = [entered + self._patience - now for entered in self._entered.values()]
        counted = [seconds for seconds in left if seconds > 0]
        return 0.0 if len(counted) < self._size else min(counted)

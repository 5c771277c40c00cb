"""Time in a simulation: it passes only where somebody waits, and what is due happens on the way."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

START: Final = 1_767_225_600.0
"""2026-01-01 00:00 UTC: wall time at the beginning, the same in every run."""


class Aside(Struct, eq=False):
    """Time that passes for one reader while the others read too."""

    seconds: float = 0.0


_GRAIN: Final = 1e-6


class EventClock:
    """A clock that plays the world: one thread waits at a time, and everything due until then happens in order.

    Within `aside` time passes for the caller alone: what is done side by side begins at the same instant.
    """

    def __init__(self) -> None:
        self._wall_offset = START
        self._elapsed = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._asides: list[Aside] = []
        self._wait_for: Callable[[Callable[[], bool], float], None] | None = None

    def now(self) -> float:
        return self._wall_offset + self.monotonic()

    def monotonic(self) -> float:
        return self._elapsed + sum(aside.seconds for aside in self._asides)

    def wait(self, event: threading.Event, timeout: float) -> bool:
        if self._asides:
            self._asides[-1].seconds += 0.0 if event.is_set() else max(0.0, timeout)
            return event.is_set()
        # Time has a grain: whoever waits for what rounding left of a deadline must not wait for ever at one instant.
        deadline = self._elapsed + (max(_GRAIN, timeout) if timeout > 0 else 0.0)
        if self._wait_for is not None:
            self._wait_for(event.is_set, deadline)
            return event.is_set()
        is_early = True
        while is_early and not event.is_set():
            is_early = self.let_pass(deadline)
        return event.is_set()

    def let_pass(self, deadline: float) -> bool:
        """Let time pass until something happens (True), or until `deadline` (False)."""
        if self._due and self._due[0][0] <= deadline:
            self._happen()
            return True
        self._elapsed = max(self._elapsed, deadline)
        return False

    def hand_over(self, wait_for: Callable[[Callable[[], bool], float], None] | None) -> None:
        """Have `wait_for` (condition, deadline) decide who goes on where somebody waits; None for nobody but one."""
        self._wait_for = wait_for

    def pass_until(self, when: float) -> None:
        """Let time pass until the monotonic time `when`."""
        self.wait(threading.Event(), when - self.monotonic())

    def at(self, when: float, happening: Callable[[], None]) -> None:
        """Have `happening` called when the monotonic time `when` comes; what is due at once happens in order."""
        heapq.heappush(self._due, (max(when, self._elapsed), next(self._order), happening))

    def jump(self, seconds: float) -> None:
        """Have the wall clock set forward, or back: no time passes."""
        self._wall_offset += seconds

    @contextmanager
    def aside(self) -> Iterator[Aside]:
        """Let time pass for the block alone; how much of it did is in the result."""
        aside = Aside()
        self._asides.append(aside)
        try:
            yield aside
        finally:
            self._asides.remove(aside)

    def _happen(self) -> None:
        when, _, happening = heapq.heappop(self._due)
        self._elapsed = max(self._elapsed, when)
        happening()

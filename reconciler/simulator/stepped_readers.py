"""Hosts are read one after the other, each in its own time, so that a simulation never depends on threads."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from queue import Empty

from reconciler.observe.readers import Answers, Reading
from reconciler.simulator.event_clock import EventClock


class SteppedReaders:
    """Readers that do the work at once and hand its result over when it would have come."""

    def __init__(self, clock: EventClock) -> None:
        self._clock = clock

    def answers(self) -> Answers:
        return _DueAnswers(self._clock)

    def start(self, name: str, work: Callable[[], None]) -> None:  # noqa: ARG002  # threads have names, steps don't
        with self._clock.aside():
            work()


class _DueAnswers:
    """Readings in the order in which they come in."""

    def __init__(self, clock: EventClock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Reading]] = []
        self._order = itertools.count()

    def put(self, item: Reading) -> None:
        heapq.heappush(self._due, (self._clock.monotonic(), next(self._order), item))

    def get(self, *, timeout: float) -> Reading:
        deadline = self._clock.monotonic() + max(0.0, timeout)
        if not self._due or self._due[0][0] > deadline:
            self._clock.pass_until(deadline)
            raise Empty
        self._clock.pass_until(self._due[0][0])
        return heapq.heappop(self._due)[2]

"""What devices have just said: of a silent host they are asked anyway, and an agent takes its time to say it again."""

from __future__ import annotations

import threading
from typing import Final

from reconciler.clock import Clock
from reconciler.fencing.levels import Level

_FRESH: Final = 3.0
"""Seconds for which a device need not be asked again; counted from when it was asked."""


class LastWords:
    """Levels that said `on`, each word good once; safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._said_on: dict[tuple[str, int], tuple[Level, float]] = {}

    def note(self, level: Level, asked_at: float, *, is_on: bool) -> None:
        """`asked_at` is monotonic; any other word than `on` ends what was said before."""
        with self._lock:
            if is_on:
                self._said_on[level.host, level.number] = (level, asked_at)
            else:
                self._said_on.pop((level.host, level.number), None)

    def take_on(self, level: Level) -> bool:
        """Whether this very device has just said `on`; asked again, it has to be asked."""
        with self._lock:
            said, asked_at = self._said_on.pop((level.host, level.number), (None, 0.0))
        return said == level and self._clock.monotonic() - asked_at < _FRESH

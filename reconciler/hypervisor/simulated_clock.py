"""Time that passes only when somebody waits or turns it."""

from __future__ import annotations

import threading
from typing import Final

_START: Final = 1_767_225_600.0  # 2026-01-01 00:00 UTC: stable in goldens


class FakeClock:
    """A clock turned by hand; a wait passes at once and takes the clock with it."""

    def __init__(self, now: float = _START) -> None:
        self._lock = threading.Lock()
        self._wall_offset = now
        self._elapsed = 0.0

    def now(self) -> float:
        with self._lock:
            return self._wall_offset + self._elapsed

    def monotonic(self) -> float:
        with self._lock:
            return self._elapsed

    def wait(self, event: threading.Event, timeout: float) -> bool:
        if not event.is_set():
            self.advance(timeout)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        with self._lock:
            self._elapsed += max(0.0, seconds)

    def jump(self, seconds: float) -> None:
        """Have the wall clock set forward, or back, by `seconds`: no time passes."""
        with self._lock:
            self._wall_offset += seconds

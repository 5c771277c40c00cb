"""Noticing that a host has gone silent while calls wait for it.

libvirt's own keepalive is not used: when it gives up on a connection with two or more calls in it (libvirt 9.0), one
call returns, the others never do, and the process may crash later. Breaking the socket from outside ends all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from reconciler.clock import Clock


class Heartbeat:
    """Asks a silent host whether it is there, and gives it up when it does not answer.

    `keepalive` is (seconds, count): after so many seconds without any answer `probe` is called, and after that many
    times the seconds without an answer to it either, `give_up`.
    """

    def __init__(
        self,
        clock: Clock,
        keepalive: tuple[int, int],
        probe: Callable[[], Future[object]],
        give_up: Callable[[], None],
    ) -> None:
        self._clock: Final = clock
        self._seconds, self._count = keepalive
        self._probe: Final = probe
        self._give_up: Final = give_up
        self._lock: Final = threading.Lock()
        self._answered_at = clock.monotonic()
        self._probed_at: float | None = None

    def answered(self) -> None:
        """Something has come from the host."""
        self._answered_at = self._clock.monotonic()
        self._probed_at = None

    def check(self) -> None:
        """See to it; called every few seconds by whoever waits, from any thread, and never waits itself."""
        now = self._clock.monotonic()
        with self._lock:
            if now - self._answered_at < self._seconds:
                return
            probe_now = self._probed_at is None
            silent = self._probed_at is not None and now - self._probed_at >= self._seconds * self._count
            if probe_now or silent:
                self._probed_at = now
        if probe_now:
            self._probe().add_done_callback(lambda _: self.answered())
        elif silent:
            self._give_up()

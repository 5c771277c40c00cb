"""Noticing that a host has gone silent while calls wait for it.

libvirt's own keepalive is not used where several calls share a connection: when it gives up on one with two or more in
it (libvirt 9.0), one call returns, the others never do, and the process may crash later. Breaking the socket from
outside ends all of them. A migration has a connection of its own, with one call in it, and there keepalive does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from reconciler.clock import Clock

KEEPALIVE: Final[tuple[int, int]] = (2, 2)
"""Seconds without any answer after which a host is asked, and how many more of these it may be silent."""


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
        self._question: Future[object] | None = None
        self._took = 0.0

    @property
    def answered_at(self) -> float:
        """Monotonic time of the last answer of any call."""
        return self._answered_at

    @property
    def took(self) -> float:
        """Seconds that the last question took to be answered, or has been waiting for longer than that."""
        asked, question = self._probed_at, self._question
        waiting = self._clock.monotonic() - asked if asked is not None and question and not question.done() else 0.0
        return max(self._took, waiting)

    def answered(self) -> None:
        """Something has come from the host."""
        self._answered_at = self._clock.monotonic()
        self._probed_at = None

    def ask(self) -> Future[object]:
        """Have the host answer something now; the question under way, where there is one: they never pile up."""
        with self._lock:
            asked = self._clock.monotonic()
            if self._question is not None and not self._question.done():
                # Another call may have been answered meanwhile: the silence is counted from here then.
                self._probed_at = self._probed_at or asked
                return self._question
            self._probed_at = asked
            question = self._question = self._probe()
        question.add_done_callback(lambda future: self._note(future, asked))
        return question

    def check(self) -> None:
        """See to it; called every few seconds by whoever waits, from any thread, and never waits itself."""
        now = self._clock.monotonic()
        with self._lock:
            if now - self._answered_at < self._seconds:
                return
            probe_now = self._probed_at is None
            silent = self._probed_at is not None and now - self._probed_at >= self._seconds * self._count
            if silent:
                self._probed_at = now
        if probe_now:
            self.ask()
        elif silent:
            self._give_up()

    def _note(self, question: Future[object], asked: float) -> None:
        # A connection that breaks ends the question with an error: that is no answer of the host.
        if not question.cancelled() and question.exception() is None:
            self._took = self._clock.monotonic() - asked
            self.answered()

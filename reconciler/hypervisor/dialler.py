"""Opening the connection to one host, and opening it again: one attempt at a time, none of them waited for too long.

closed ──line()──▶ opening ──▶ open ──lost──▶ closed
                      └─failed / hung──▶ down: line() fails at once, one attempt at a time goes on in the background
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from functools import partial
from typing import Final

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import HostError, HostTimeout, HostUnreachable
from reconciler.hypervisor.heartbeat import Heartbeat
from reconciler.hypervisor.interface import Pulse
from reconciler.hypervisor.libvirt_binding import LibvirtError, OnEvent, Session
from reconciler.hypervisor.libvirt_errors import translate
from reconciler.hypervisor.transport import Transport
from reconciler.hypervisor.workers import Workers

_PATIENCE_WHILE_DOWN: Final = 1.0
"""Seconds that a call waits for a host that is known not to answer."""
_PAUSE_SECONDS: Final = 1.0
"""Between an attempt that took long and the next one."""
_CHEAP_FAILURE_SECONDS: Final = 1.0
_CLOSING_SECONDS: Final = 1.0
_THREADS: Final = 4  # an attempt, who watches it, a probe, the end of a lost connection


class Line(Struct, frozen=True, eq=False):
    """An open connection, what of this process it runs over, and its heartbeat."""

    session: Session
    ends: frozenset[int]
    heartbeat: Heartbeat


class _Outage(Struct, frozen=True):
    """Since when (wall time) a host does not answer, why, and when (monotonic) it may be tried again."""

    since: float
    reason: str
    next_attempt: float


class Dialler:
    """Gives out the line to one host; safe to use from several threads."""

    def __init__(
        self,
        name: str,
        uri: str,
        open_deadline: float,
        keepalive: tuple[int, int],
        clock: Clock,
        *,
        listens: bool = True,
    ) -> None:
        self._name: Final = name
        self._uri: Final = uri
        self._open_deadline: Final = open_deadline
        self._keepalive: Final = keepalive
        self._listens: Final = listens
        self._clock: Final = clock
        self._transport: Final = Transport.of(uri)
        self._workers: Final = Workers(_THREADS, f"{name}-open")
        self._lock: Final = threading.Lock()
        self._closing = False
        self._line: Line | None = None
        self._attempt: Future[Line] | None = None
        self._outage: _Outage | None = None
        self._tell: OnEvent | None = None
        self._answered_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a line, as far as is known; never waits."""
        return self._line is not None

    @property
    def pulse(self) -> Pulse:
        """When the host last answered anything, and what is wrong; never waits."""
        line, outage = self._line, self._outage
        if line is not None:
            return Pulse(line.heartbeat.answered_at, line.heartbeat.took, "")
        return Pulse(self._answered_at, 0.0, outage.reason if outage is not None else "not connected yet")

    def line(self, patience: float | None = None) -> Line:
        """The open line, opened if need be; raises at once while the host is known not to answer.

        `patience`, where it is given, is how long to wait for it at the most, in seconds.
        """
        with self._lock:
            if self._line is not None:
                return self._line
            attempt = self._attempt or self._begin_attempt()
            known_down = self._outage is not None
        usual = _PATIENCE_WHILE_DOWN if known_down else self._open_deadline + _CLOSING_SECONDS
        wait((attempt,), usual if patience is None else patience)
        if not attempt.done():
            raise self._down("an attempt to connect is under way")
        return attempt.result()

    def watch(self, tell: OnEvent) -> None:
        """Have `tell` called for what happens on the host, `connected` and `disconnected` included."""
        self._tell = tell
        with self._lock:
            line = self._line
        if line is not None:
            self._workers.submit(partial(line.session.watch, tell))

    def tick(self) -> None:
        """See to an idle line: reconnect one that is down, ask one that is silent; never waits."""
        line = self._line_or_attempt()
        if line is not None:
            line.heartbeat.check()

    def ask(self) -> None:
        """Have the host answer something: over its line, or by connecting; never waits."""
        line = self._line_or_attempt()
        if line is not None:
            line.heartbeat.check()
            line.heartbeat.ask()

    def _line_or_attempt(self) -> Line | None:
        """The line as far as there is one; where there is none, an attempt is begun unless it is too early for it."""
        with self._lock:
            down = self._line is None and self._attempt is None and not self._closing
            if down and (self._outage is None or self._outage.next_attempt <= self._clock.monotonic()):
                self._begin_attempt()
            return self._line

    # -- attempts --------------------------------------------------------------------------------------------------
    def _begin_attempt(self) -> Future[Line]:
        """Begin the one attempt that is allowed at a time; raises while it is too early for one."""
        if self._closing:
            raise HostUnreachable("the connection was closed here", host=self._name)
        if self._outage is not None and (left := self._outage.next_attempt - self._clock.monotonic()) > 0:
            raise self._down(f"next attempt in {left:.1f} s")
        attempt: Future[Line] = Future()
        self._attempt = attempt
        self._workers.submit(partial(self._carry_out, attempt))
        return attempt

    def _carry_out(self, attempt: Future[Line]) -> None:
        started = self._clock.monotonic()
        try:
            line = self._opened_in_time()
        except HostError as error:
            pause = 0.0 if self._clock.monotonic() - started < _CHEAP_FAILURE_SECONDS else _PAUSE_SECONDS
            with self._lock:
                self._attempt = None
                self._note_outage(error.message, pause)
            attempt.set_exception(error)
            return
        with self._lock:
            self._line, self._attempt, self._outage = line, None, None
            closing = self._closing
        attempt.set_result(line)
        if closing:
            self.close()
        elif self._tell is not None:
            self._tell("connected", "", "")

    def _opened_in_time(self) -> Line:
        """A line; a hung `open` is ended by breaking what it waits on, and waited for until it has ended."""
        before = self._transport.present()
        opening = self._workers.submit(self._open)
        wait((opening,), self._open_deadline)
        hung = not opening.done()
        if hung:
            self._transport.end(self._ends(before))
        try:
            session = opening.result()
        except LibvirtError as error:
            if hung:
                deadline = f"connecting took more than {self._open_deadline:g} s"
                raise HostTimeout(deadline, host=self._name, hint="check that libvirtd answers there") from error
            raise translate(error, host=self._name, lost=True, uri=self._uri) from error
        return self._line_of(session, self._ends(before))

    def _line_of(self, session: Session, ends: frozenset[int]) -> Line:
        def give_up() -> None:
            self.lost(line, "no answer")
            self._transport.end(ends)

        probe = partial(self._workers.submit, session.ask)
        line = Line(session, ends, Heartbeat(self._clock, self._keepalive, probe, give_up))
        return line

    def _open(self) -> Session:
        session = Session.open(self._uri, self._closed if self._listens else None)
        if self._tell is not None:
            session.watch(self._tell)
        return session

    def _ends(self, before: frozenset[int]) -> frozenset[int]:
        try:
            return self._transport.ends(since=before)
        except OSError:  # a name that can't be resolved: libvirt will say so better
            return frozenset()

    # -- outages and the end ---------------------------------------------------------------------------------------
    def _closed(self, session: Session, reason: str) -> None:
        """The close callback."""
        with self._lock:
            line = self._line
        if line is not None and line.session is session:
            self.lost(line, reason)

    def lost(self, line: Line, reason: str) -> None:
        """Give up a line that has ended, once."""
        with self._lock:
            if line is not self._line:
                return
            self._line = None
            self._answered_at = line.heartbeat.answered_at
            self._note_outage(reason, pause=0.0)
        # Not here, which may be the event loop: releasing may wait for that very loop.
        self._workers.submit(line.session.release)
        if self._tell is not None:
            self._tell("disconnected", "", reason)

    def _note_outage(self, reason: str, pause: float) -> None:
        since = self._clock.now() if self._outage is None else self._outage.since
        self._outage = _Outage(since, reason, self._clock.monotonic() + pause)

    def _down(self, next_step: str) -> HostUnreachable:
        outage = self._outage
        if outage is None:
            return HostUnreachable(f"does not answer; {next_step}", host=self._name)
        since = datetime.fromtimestamp(outage.since, UTC).strftime("%H:%M:%S UTC")
        return HostUnreachable(
            f"not answering since {since} ({outage.reason}); {next_step}",
            host=self._name,
            hint="check the host; it is tried again by itself",
        )

    def close(self) -> None:
        """Give the connection back; a second at most, then what hangs is broken off."""
        with self._lock:
            self._closing = True
            line, self._line = self._line, None
        if line is not None:
            wait((self._workers.submit(line.session.release),), _CLOSING_SECONDS)
            # What is still waiting for an answer, the release itself included, gets an error now.
            self._transport.end(line.ends)

"""One host's connection: opened when first needed, watched, reopened when lost, and never waited for beyond a deadline.

    closed ──call──▶ opening ──▶ open ──lost──▶ closed
                        └─failed / hung──▶ down: calls fail at once, one attempt at a time in the background

Every call of libvirt runs on a bounded set of daemon threads, so a host that hangs costs at most those.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final, Literal, TypeVar

from reconciler.clock import Clock
from reconciler.errors import HostError, HostTimeout, HostUnreachable
from reconciler.hypervisor.interface import HostEvent
from reconciler.hypervisor.libvirt_binding import (
    KEEPALIVE_TIMEOUT,
    Connection,
    LibvirtError,
    open_connection,
    watch_events,
)
from reconciler.hypervisor.libvirt_errors import RawError, translate
from reconciler.hypervisor.transport import Transport
from reconciler.hypervisor.workers import Workers

T = TypeVar("T")
Item = TypeVar("Item")
Notify = Callable[[HostEvent], None]
Pace = Literal["quick", "slow", "copy"]
"""`slow` calls start or allocate something, `copy` calls move whole disks."""

_PATIENCE_WHILE_DOWN: Final = 1.0
"""Seconds that a call waits for a host that is known not to answer."""
_RETRY_SECONDS: Final = 2.0
_CHEAP_FAILURE_SECONDS: Final = 1.0
# libvirtd answers five calls of a client at a time and then stops reading, keepalive included: long calls leave it two.
_SLOW_CALLS_AT_ONCE: Final = 3
_OPENING_THREADS: Final = 4  # one attempt and who watches it, one wait for the next attempt, one lost connection's end


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines in seconds, and threads, of one host's connection."""

    call_deadline: float
    slow_call_deadline: float
    copy_deadline: float
    open_deadline: float
    keepalive: tuple[int, int]
    threads: int

    def deadline(self, pace: Pace) -> float:
        """Seconds that a call of that pace may take."""
        return {"quick": self.call_deadline, "slow": self.slow_call_deadline, "copy": self.copy_deadline}[pace]


@dataclass(slots=True)
class _Outage:
    """Since when (wall time) a host does not answer, why, and when (monotonic) it is tried again."""

    since: float
    reason: str
    next_attempt: float


class HostConnection:
    """The connection to one host; every method may be called from several threads."""

    def __init__(self, name: str, uri: str, limits: Limits, clock: Clock) -> None:
        self.name: Final = name
        self.uri: Final = uri
        self.limits: Final = limits
        self._clock: Final = clock
        self._transport: Final = Transport.of(uri)
        self._quick: Final = Workers(limits.threads, f"{name}-call")
        self._slow: Final = Workers(_SLOW_CALLS_AT_ONCE, f"{name}-slow")
        self._openers: Final = Workers(_OPENING_THREADS, f"{name}-open")
        self._lock: Final = threading.Lock()
        self._closing: Final = threading.Event()
        self._connection: Connection | None = None
        self._ends: frozenset[int] = frozenset()
        self._attempt: Future[Connection] | None = None
        self._outage: _Outage | None = None
        self._notify: Notify | None = None
        self._retrying = False

    # -- calls -----------------------------------------------------------------------------------------------------
    def call(self, work: Callable[[Connection], T], target: str = "", *, pace: Pace = "quick") -> T:
        """What `work` returns, run on a thread of the host; raises our errors only, with `target`."""
        connection = self._open()
        deadline = self.limits.deadline(pace)
        workers = self._quick if pace == "quick" else self._slow
        future = workers.submit(lambda: work(connection))
        try:
            wait((future,), deadline)
            if not future.done():
                raise self._late(future, deadline, target)
            return future.result()
        except LibvirtError as error:
            raise self._translated(error, connection, target) from error

    def read(self, work: Callable[[Connection], T], target: str = "") -> T:
        """As `call`, for work that changes nothing: done once more where the connection turned out to be lost."""
        try:
            return self.call(work, target)
        except HostUnreachable:
            return self.call(work, target)

    def map(self, work: Callable[[Item], T], items: Sequence[Item], target: str = "") -> list[T]:
        """`work` of each item in order, pipelined over the host's threads; the deadline is that for any progress."""
        connection = self._open()
        results: dict[int, T] = {}
        turn = count()

        def drain() -> None:
            while (index := next(turn)) < len(items) and not stopped.is_set():
                results[index] = work(items[index])

        stopped = threading.Event()
        futures = [self._quick.submit(drain) for _ in range(min(self._quick.size, len(items)))]
        try:
            self._wait_while_moving(futures, results, target)
        except LibvirtError as error:
            raise self._translated(error, connection, target) from error
        finally:
            stopped.set()
        return [results[index] for index in range(len(items))]

    def stream(self, work: Callable[[Connection], T], moved: Callable[[], int], target: str) -> T:
        """As `call`, for work that lasts: the deadline is that for any change of `moved()`."""
        connection = self._open()
        future = self._slow.submit(lambda: work(connection))
        try:
            before = -1
            while not future.done():
                wait((future,), self.limits.call_deadline)
                if not future.done() and moved() == before:
                    raise self._late(future, self.limits.call_deadline, target)
                before = moved()
            return future.result()
        except LibvirtError as error:
            raise self._translated(error, connection, target) from error

    def _wait_while_moving(self, futures: list[Future[None]], results: dict[int, T], target: str) -> None:
        waiting, before = set(futures), -1
        while waiting:
            done, waiting = wait(waiting, self.limits.call_deadline, FIRST_EXCEPTION)
            for future in done:
                future.result()
            if waiting and len(results) == before:
                raise self._late(waiting.pop(), self.limits.call_deadline, target)
            before = len(results)

    def _late(self, future: Future[T], deadline: float, target: str) -> HostTimeout:
        unsent = future.cancel()
        fate = "the call was never sent" if unsent else "whether the call was carried out is not known"
        return HostTimeout(
            f"no answer within {deadline:g} s; {fate}", host=self.name, target=target, hint="look again before acting"
        )

    def _translated(self, error: RawError, connection: Connection, target: str) -> HostError:
        """Our error; a connection that ended with it is given up."""
        lost = not _is_alive(connection)
        if lost:
            self._lost(connection, error.get_error_message() or "")
        return translate(error, host=self.name, target=target, lost=lost)

    # -- opening ---------------------------------------------------------------------------------------------------
    def _open(self) -> Connection:
        """The connection, opened if need be; fails at once while the host is known not to answer."""
        with self._lock:
            if self._connection is not None:
                return self._connection
            attempt = self._attempt or self._begin_attempt()
            known_down = self._outage is not None
        wait((attempt,), _PATIENCE_WHILE_DOWN if known_down else self.limits.open_deadline + 1)
        if not attempt.done():
            raise self._down("an attempt to connect is under way")
        return attempt.result()

    def _begin_attempt(self) -> Future[Connection]:
        """Begin the one attempt that is allowed at a time; raises while it is too early for one."""
        if self._closing.is_set():
            raise HostUnreachable("the connection was closed here", host=self.name)
        if self._outage is not None and (left := self._outage.next_attempt - self._clock.monotonic()) > 0:
            raise self._down(f"next attempt in {left:.1f} s")
        attempt: Future[Connection] = Future()
        self._attempt = attempt
        self._openers.submit(lambda: self._supervise(attempt))
        return attempt

    def _down(self, next_step: str) -> HostUnreachable:
        outage = self._outage
        if outage is None:
            return HostUnreachable(f"does not answer; {next_step}", host=self.name)
        since = datetime.fromtimestamp(outage.since, UTC).strftime("%H:%M:%S UTC")
        return HostUnreachable(
            f"not answering since {since} ({outage.reason}); {next_step}",
            host=self.name,
            hint="check the host; it is tried again by itself",
        )

    def _supervise(self, attempt: Future[Connection]) -> None:
        """See one attempt through and, where events are wanted, begin the next one after a failure."""
        started = self._clock.monotonic()
        try:
            connection = self._opened_in_time()
        except HostError as error:
            self._failed(attempt, error, self._clock.monotonic() - started)
        else:
            self._succeeded(attempt, connection)

    def _opened_in_time(self) -> Connection:
        """A connection; a hung `open` is ended by breaking what it waits on, and waited for until it has ended."""
        before = self._current_ends()
        opening = self._openers.submit(self._connect)
        wait((opening,), self.limits.open_deadline)
        hung = not opening.done()
        if hung:
            self._transport.end(self._current_ends() - before)
        try:
            connection = opening.result()
        except LibvirtError as error:
            if hung:
                deadline = f"connecting took more than {self.limits.open_deadline:g} s"
                raise HostTimeout(deadline, host=self.name, hint="check that libvirtd answers there") from error
            raise translate(error, host=self.name, lost=True) from error
        self._ends = self._current_ends() - before
        return connection

    def _current_ends(self) -> frozenset[int]:
        try:
            return self._transport.ends()
        except OSError:  # a name that can't be resolved: libvirt will say so better
            return frozenset()

    def _connect(self) -> Connection:
        # The close callback may come before open_connection returns; nothing is lost then, the next call finds out.
        holder: list[Connection] = []
        connection = open_connection(
            self.uri, self.limits.keepalive, lambda reason: self._lost(holder[0] if holder else None, reason)
        )
        holder.append(connection)
        if self._notify is not None:
            watch_events(connection, self._happened)
        return connection

    def _succeeded(self, attempt: Future[Connection], connection: Connection) -> None:
        with self._lock:
            self._connection, self._attempt, self._outage = connection, None, None
        attempt.set_result(connection)
        self._happened("connected", "", "")
        if self._closing.is_set():
            self.close()

    def _failed(self, attempt: Future[Connection], error: HostError, seconds: float) -> None:
        with self._lock:
            self._attempt = None
            self._note_outage(error.message, cheap=seconds < _CHEAP_FAILURE_SECONDS)
            retry = self._notify is not None and not self._retrying
            self._retrying |= retry
        attempt.set_exception(error)
        if retry:
            self._closing.wait(_RETRY_SECONDS)
            self._retrying = False
            self._reconnect()

    def _note_outage(self, reason: str, *, cheap: bool) -> None:
        """Remember that the host is down; one that refuses at once may be asked again at once."""
        since = self._clock.now() if self._outage is None else self._outage.since
        pause = 0.0 if cheap else _CHEAP_FAILURE_SECONDS
        self._outage = _Outage(since, reason, self._clock.monotonic() + pause)

    def _reconnect(self) -> None:
        with self._lock:
            if self._connection is None and self._attempt is None and not self._closing.is_set():
                if self._outage is not None:
                    self._outage.next_attempt = 0.0
                self._begin_attempt()

    # -- events and the end ----------------------------------------------------------------------------------------
    def subscribe(self, notify: Notify) -> None:
        """Tell `notify` of what happens; connects in the background, and again whenever the host is lost."""
        self._notify = notify
        with self._lock:
            connection = self._connection
        if connection is None:
            self._reconnect()
        else:
            self._quick.submit(lambda: watch_events(connection, self._happened))

    def _happened(self, kind: str, target: str, detail: str) -> None:
        if self._notify is not None:
            self._notify(HostEvent(self.name, kind, target, detail))

    def _lost(self, connection: Connection | None, reason: str) -> None:
        """Give up a connection that has ended, once."""
        with self._lock:
            if connection is None or connection is not self._connection:
                return
            self._connection = None
            if reason == KEEPALIVE_TIMEOUT:
                self._note_outage(reason, cheap=True)
        # Closing may have to wait for threads that are still in the connection: not here, in the event loop.
        self._openers.submit(lambda: _close(connection))
        self._happened("disconnected", "", reason)
        if self._notify is not None:
            self._reconnect()

    def close(self) -> None:
        """Give the connection back; a second at most, then what hangs is broken off."""
        self._closing.set()
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is None:
            return
        closing = self._openers.submit(lambda: _close(connection))
        wait((closing,), 1.0)
        if not closing.done():
            self._transport.end(self._ends)
            wait((closing,), 1.0)


def _close(connection: Connection) -> None:
    """Close a connection; one that has ended already may say so."""
    with suppress(LibvirtError):
        connection.close()


def _is_alive(connection: Connection) -> bool:
    try:
        return bool(connection.isAlive())
    except LibvirtError:
        return False

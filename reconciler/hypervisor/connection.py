"""Calls to one host: each on one of its threads, with a deadline, and with errors of ours.

The threads are bounded and belong to the host, so one that hangs costs at most those and delays no other host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import count
from math import inf
from typing import Final, Literal, TypeVar

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import HostError, HostTimeout, HostUnreachable
from reconciler.hypervisor.dialler import Dialler, Line
from reconciler.hypervisor.interface import HostEvent, Pulse
from reconciler.hypervisor.libvirt_binding import Connection, LibvirtError
from reconciler.hypervisor.libvirt_errors import RawError, translate
from reconciler.hypervisor.workers import Workers

T = TypeVar("T")
Item = TypeVar("Item")
Pace = Literal["quick", "brief", "slow", "copy"]
"""`brief` calls change something and are soon done, `slow` ones start or stop it, `copy` calls move whole disks."""

# libvirtd answers five calls of a client at a time and then stops reading: long calls leave it one for the others.
_LONG_CALLS_AT_ONCE: Final = 4
_LONG: Final = frozenset[Pace]({"slow", "copy"})
_NEAR_SECONDS: Final = 0.001
_NEAR_THREADS: Final = 2
"""Enough for a host whose answers are back at once; more would only get in one another's way."""


class Limits(Struct, frozen=True):
    """Deadlines in seconds, and threads, of one host's connection."""

    call_deadline: float
    slow_call_deadline: float
    copy_deadline: float
    open_deadline: float
    keepalive: tuple[int, int]
    threads: int
    listens: bool = True
    """Whether libvirt's event loop tells of events and of the end of the connection; each call costs it two turns."""

    def deadline(self, pace: Pace) -> float:
        """Seconds that a call of that pace may take."""
        match pace:
            case "quick":
                return self.call_deadline
            case "brief" | "slow":
                return self.slow_call_deadline
            case "copy":
                return self.copy_deadline


class ConnectionLost(HostTimeout):
    """The connection ended during the call: whether it was carried out is not known."""


class HostConnection:
    """The connection to one host; every method may be called from several threads."""

    def __init__(self, name: str, uri: str, limits: Limits, clock: Clock) -> None:
        self.name: Final = name
        self.uri: Final = uri
        self._limits: Final = limits
        self._clock: Final = clock
        self._dialler: Final = Dialler(name, uri, limits.open_deadline, limits.keepalive, clock, listens=limits.listens)
        self._quick: Final = Workers(limits.threads, f"{name}-call")
        self._long: Final = Workers(_LONG_CALLS_AT_ONCE, f"{name}-long")
        self._quickest_call = inf

    @property
    def is_open(self) -> bool:
        """Whether the host is connected, as far as is known; never waits."""
        return self._dialler.is_open

    def handle(self) -> Connection:
        """Libvirt's connection, opened if need be, for calls that go through `map`."""
        return self._dialler.line().session.connection

    def call(self, work: Callable[[Connection], T], target: str = "", *, pace: Pace = "quick") -> T:
        """What `work` returns; raises our errors only, with `target` (`Kind/name`)."""
        line = self._dialler.line()
        future = (self._long if pace in _LONG else self._quick).submit(partial(work, line.session.connection))
        return self._answer(line, future, self._limits.deadline(pace), target)

    def read(self, work: Callable[[Connection], T], target: str = "") -> T:
        """As `call`, for work that changes nothing: done once more where the connection turned out to be lost."""
        try:
            return self.call(work, target)
        except ConnectionLost:
            return self.call(work, target)

    def stream(self, work: Callable[[Connection], T], moved: Callable[[], int], target: str) -> T:
        """As `call`, for work that lasts: the deadline is that for any change of `moved()`."""
        line = self._dialler.line()
        future = self._long.submit(partial(work, line.session.connection))
        return self._answer(line, future, self._limits.call_deadline, target, moved)

    def map(self, work: Callable[[Item], T], items: Sequence[Item], target: str = "") -> list[T]:
        """`work` of each item in order, pipelined over the host's threads; the deadline is that for any progress."""
        line = self._dialler.line()
        results: dict[int, T] = {}
        turn, stopped = count(), threading.Event()

        def drain() -> None:
            try:
                while (index := next(turn)) < len(items) and not stopped.is_set():
                    begun = self._clock.monotonic()
                    results[index] = work(items[index])
                    self._quickest_call = min(self._quickest_call, self._clock.monotonic() - begun)
                    line.heartbeat.answered()
            except BaseException:
                stopped.set()
                raise

        threads = _NEAR_THREADS if self._quickest_call < _NEAR_SECONDS else self._quick.size
        futures = [self._quick.submit(drain) for _ in range(min(threads, len(items)))]
        try:
            for future in futures:
                self._answer(line, future, self._limits.call_deadline, target, results.__len__)
        finally:
            stopped.set()
        return [results[index] for index in range(len(items))]

    def _answer(
        self, line: Line, future: Future[T], deadline: float, target: str, moved: Callable[[], int] = lambda: 0
    ) -> T:
        """The result of a call in flight, waited for while something moves and the host is not silent."""
        before, since = moved(), self._clock.monotonic()
        left = deadline
        while not future.done():
            wait((future,), min(self._limits.keepalive[0], left))
            if not future.done():
                line.heartbeat.check()
                now = self._clock.monotonic()
                if (after := moved()) != before:
                    before, since = after, now
                left = since + deadline - now
                if left <= 0:
                    raise self._late(future, deadline, target)
        try:
            result = future.result()
        except LibvirtError as error:
            raise self._translated(error, line, target) from error
        line.heartbeat.answered()
        return result

    def _late(self, future: Future[T], deadline: float, target: str) -> HostTimeout:
        unsent = future.cancel()
        fate = "the call was never sent" if unsent else "whether the call was carried out is not known"
        return HostTimeout(
            f"no answer within {deadline:g} s; {fate}", host=self.name, target=target, hint="look again before acting"
        )

    def _translated(self, error: RawError, line: Line, target: str) -> HostError:
        """Our error; a connection that ended with it is given up."""
        if line.session.is_alive():
            line.heartbeat.answered()
            return translate(error, host=self.name, target=target, uri=self.uri)
        text = error.get_error_message() or "the connection was lost"
        self._dialler.lost(line, text)
        return ConnectionLost(
            f"the connection ended during the call ({text}); whether it was carried out is not known",
            host=self.name,
            target=target,
            hint="look again before acting",
        )

    # -- life signs ------------------------------------------------------------------------------------------------
    def pulse(self) -> Pulse:
        """As Hypervisor.pulse."""
        self._dialler.ask()
        return self._dialler.pulse

    def ping(self, seconds: float) -> None:
        """As Hypervisor.ping."""
        begun = self._clock.monotonic()
        line = self._dialler.line(seconds)
        question = line.heartbeat.ask()
        wait((question,), max(0.0, begun + seconds - self._clock.monotonic()))
        if not question.done():
            raise HostTimeout(
                f"no answer within {seconds:g} s", host=self.name, hint=f"look at libvirtd on {self.name}"
            )
        error = question.exception()
        if isinstance(error, LibvirtError):
            raise self._translated(error, line, "") from error
        if error is not None:  # the line was let go of before its turn came
            raise HostUnreachable("the connection ended", host=self.name, hint="it is tried again by itself") from error

    # -- events and the end ----------------------------------------------------------------------------------------
    def subscribe(self, notify: Callable[[HostEvent], None]) -> None:
        """Tell `notify` of what happens from now on."""
        self._dialler.watch(lambda kind, target, detail: notify(HostEvent(self.name, kind, target, detail)))

    def tick(self) -> None:
        """See to an idle connection; never waits."""
        self._dialler.tick()

    def close(self) -> None:
        """Give the connection back; never blocks for long."""
        self._dialler.close()

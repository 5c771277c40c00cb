"""Threads that take turns: one runs until it waits, so that a simulation goes the same way every time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from msgspec import Struct, field

from reconciler.executor.crew import Pool, Results
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.simulator.event_clock import EventClock

T = TypeVar("T")


class _Waiting(Struct, eq=False):
    """Somebody who waits for its turn: for `is_ready`, or until `deadline` (monotonic)."""

    process: Turns
    is_ready: Callable[[], bool]
    deadline: float
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def may_run(self) -> bool:
        return self.process.is_doomed or (not self.process.is_frozen and self.is_ready())


class Room(Struct):
    """Where the threads of all processes wait: one of all of them runs at a time."""

    waiting: list[_Waiting] = field(default_factory=list)
    running: Turns | None = None

    def wait_for(self, is_ready: Callable[[], bool], deadline: float) -> None:
        """As Turns.wait_for, of the process that runs."""
        if self.running is not None:
            self.running.wait_for(is_ready, deadline)


class Turns:
    """Implements Crew, and hands on who runs. All of one process: `doom` ends it at once, as kill -9 does.

    While `is_frozen` none of its threads runs, as between SIGSTOP and SIGCONT. Processes that run side by side share a
    `room`.
    """

    def __init__(self, clock: EventClock, room: Room | None = None) -> None:
        self._clock = clock
        self._room = room or Room()
        self._others = 0
        self._doomed = False
        self._failure: BaseException | None = None
        self.is_frozen = False

    @property
    def is_doomed(self) -> bool:
        return self._doomed

    def take_over(self) -> None:
        """Have whoever waits on the clock wait here; the thread that calls is the first that runs."""
        self._room.running = self
        self._clock.hand_over(self._room.wait_for)

    # -- waiting ---------------------------------------------------------------------------------------------------
    def wait_for(self, is_ready: Callable[[], bool], deadline: float = float("inf")) -> None:
        """Let others run until `is_ready`, or until the time `deadline`; raises SimulatedCrashError if it is killed."""
        if self._doomed:
            raise SimulatedCrashError
        me = _Waiting(self, is_ready, deadline)
        self._room.waiting.append(me)
        self._next()
        me.turn.acquire()
        if self._doomed:
            raise SimulatedCrashError

    def _next(self) -> None:
        """Choose who runs now, and wake it: whoever is ready, else time passes until somebody is."""
        chosen = None
        while chosen is None:
            chosen = next((waiting for waiting in self._room.waiting if waiting.may_run), None)
            chosen = chosen or self._let_pass()
        self._room.waiting.remove(chosen)
        self._room.running = chosen.process
        chosen.turn.release()

    def _let_pass(self) -> _Waiting | None:
        """Let time pass; who has waited long enough, or None where something happened before."""
        awake = [waiting for waiting in self._room.waiting if not waiting.process.is_frozen]
        first = min(awake, key=lambda waiting: waiting.deadline, default=None)
        try:
            return None if self._clock.let_pass(first.deadline if first is not None else float("inf")) else first
        except SimulatedCrashError:
            self._doomed = True
        except Exception as error:  # noqa: BLE001  # raised where the simulation began, not in whoever has its turn
            self._failure, self._doomed = error, True
        return None

    # -- beginning and ending --------------------------------------------------------------------------------------
    def start(self, work: Callable[[], None], name: str) -> None:
        """Have `work` done when its turn comes."""
        self._others += 1

        def run() -> None:
            try:
                if not self._doomed:
                    work()
            except SimulatedCrashError:
                self._doomed = True
            finally:
                self._others -= 1

        self.begin(run, name)

    def begin(self, work: Callable[[], None], name: str) -> None:
        """Have `work` done as the process itself: it is nobody that `finish` waits for."""
        me = _Waiting(self, lambda: True, float("inf"))
        self._room.waiting.append(me)

        def run() -> None:
            me.turn.acquire()
            try:
                work()
            finally:
                self._next()

        threading.Thread(target=run, name=name, daemon=True).start()

    @property
    def are_taken(self) -> bool:
        """Whether anybody but the one who began is at work."""
        return self._others > 0

    def doom(self) -> None:
        """Kill the process: nobody who waits goes on."""
        self._doomed = True

    def finish(self, seconds: float) -> None:
        """Let the others end, for up to `seconds`, then kill them; nobody is left afterwards."""
        if not self._doomed:
            with suppress(SimulatedCrashError):
                self.wait_for(lambda: self._others == 0, self._clock.monotonic() + seconds)
        self._doomed = True
        while self._others:
            me = _Waiting(self, lambda: False, float("inf"))
            self._room.waiting.append(me)
            self._next()
            me.turn.acquire()
        self._doomed = False
        if self._failure is not None:
            raise self._failure

    # -- a crew ----------------------------------------------------------------------------------------------------
    @contextmanager
    def pool(self, workers: int) -> Iterator[Pool]:  # noqa: ARG002  # slots alone bound how many act
        pool = _Pool(self)
        yield pool
        self.wait_for(lambda: pool.open == 0)

    def results(self) -> Results:
        return _Results(self)


class _Pool:
    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.open = 0

    def submit(self, work: Callable[[T], object], argument: T, /) -> object:
        def run() -> None:
            try:
                work(argument)
            finally:
                self.open -= 1

        self.open += 1
        self._turns.start(run, "action")
        return None


class _Results:
    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self) -> Any:
        self._turns.wait_for(lambda: bool(self._items))
        return self._items.popleft()

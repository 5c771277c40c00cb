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

    is_ready: Callable[[], bool]
    deadline: float
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Turns:
    """Implements Crew, and hands on who runs. All of one process: `doom` ends it at once, as kill -9 does."""

    def __init__(self, clock: EventClock) -> None:
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._others = 0
        self._doomed = False
        self._failure: BaseException | None = None

    # -- waiting ---------------------------------------------------------------------------------------------------
    def wait_for(self, is_ready: Callable[[], bool], deadline: float = float("inf")) -> None:
        """Let others run until `is_ready`, or until the time `deadline`; raises SimulatedCrashError if it is killed."""
        if self._doomed:
            raise SimulatedCrashError
        me = _Waiting(is_ready, deadline)
        self._waiting.append(me)
        self._next()
        me.turn.acquire()
        if self._doomed:
            raise SimulatedCrashError

    def _next(self) -> None:
        """Choose who runs now, and wake it: whoever is ready, else time passes until somebody is."""
        chosen = None
        while chosen is None:
            chosen = next((waiting for waiting in self._waiting if self._doomed or waiting.is_ready()), None)
            chosen = chosen or self._let_pass()
        self._waiting.remove(chosen)
        chosen.turn.release()

    def _let_pass(self) -> _Waiting | None:
        """Let time pass; who has waited long enough, or None where something happened before."""
        first = min(self._waiting, key=lambda waiting: waiting.deadline)
        try:
            return None if self._clock.let_pass(first.deadline) else first
        except SimulatedCrashError:
            self._doomed = True
        except Exception as error:  # noqa: BLE001  # raised where the simulation began, not in whoever has its turn
            self._failure, self._doomed = error, True
        return None

    # -- beginning and ending --------------------------------------------------------------------------------------
    def start(self, work: Callable[[], None], name: str) -> None:
        """Have `work` done when its turn comes."""
        me = _Waiting(lambda: True, float("inf"))
        self._waiting.append(me)
        self._others += 1
        threading.Thread(target=self._run, args=(me, work), name=name, daemon=True).start()

    def _run(self, me: _Waiting, work: Callable[[], None]) -> None:
        me.turn.acquire()
        try:
            if not self._doomed:
                work()
        except SimulatedCrashError:
            self._doomed = True
        finally:
            self._others -= 1
            self._next()

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
            me = _Waiting(lambda: False, float("inf"))
            self._waiting.append(me)
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

"""A bounded set of daemon threads for calls that may hang.

Unlike those of `concurrent.futures.ThreadPoolExecutor`, which are joined at exit, a call that never returns can't hold
up the end of the process. Threads start when there is work and end after a while without.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")
_IDLE_SECONDS: Final = 2.0
"""More than between two probes, less than between two sweeps: 500 hosts at rest keep one thread each, not three."""


class Workers:
    """At most `size` threads."""

    def __init__(self, size: int, name: str) -> None:
        self.size: Final = size
        self._name: Final = name
        self._queue: Final[queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]] = queue.SimpleQueue()
        self._idle: Final = threading.Semaphore(0)
        self._lock: Final = threading.Lock()
        self._threads = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have `work` done; a future that is cancelled before its turn is never begun."""
        future: Future[T] = Future()
        self._queue.put((future, work))
        if not self._idle.acquire(blocking=False):
            self._start_thread()
        return future

    def _start_thread(self) -> None:
        with self._lock:
            if self._threads >= self.size:
                return
            self._threads += 1
            name = f"{self._name}-{self._threads}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                future, work = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                # Only a thread that nobody counts on may end.
                if self._idle.acquire(blocking=False):
                    with self._lock:
                        self._threads -= 1
                    return
                continue
            _carry_out(future, work)
            del future, work
            self._idle.release()


def _carry_out(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
        future.set_exception(error)
    else:
        future.set_result(result)

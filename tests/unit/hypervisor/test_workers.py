"""Threads that may be left behind in a call that never returns."""

import subprocess
import sys
import threading

import pytest

from reconciler.daemon.loop import SWEEP
from reconciler.hypervisor.workers import Workers


def test_results_and_errors_reach_whoever_waits() -> None:
    workers = Workers(2, "t")

    assert workers.submit(lambda: 1 + 1).result(5) == 2
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 // 0).result(5)


def test_no_more_threads_than_allowed_are_in_calls_at_once() -> None:
    workers, gate, inside = Workers(3, "bounded"), threading.Event(), threading.Semaphore(0)

    def stand_in() -> None:
        inside.release()
        gate.wait()

    waiting = [workers.submit(stand_in) for _ in range(10)]
    for _ in range(3):
        assert inside.acquire(timeout=5)

    assert sum(thread.name.startswith("bounded-") for thread in threading.enumerate()) == 3
    gate.set()
    for future in waiting:
        future.result(5)


def test_what_is_cancelled_before_its_turn_is_never_begun() -> None:
    workers, gate, begun = Workers(1, "t"), threading.Event(), threading.Event()
    first = workers.submit(gate.wait)
    second = workers.submit(begun.set)

    assert second.cancel()
    gate.set()
    first.result(5)
    workers.submit(lambda: None).result(5)

    assert not begun.is_set()


def test_a_call_that_never_returns_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import threading; from reconciler.hypervisor.workers import Workers;"
        " begun = threading.Event(); Workers(1, 't').submit(lambda: (begun.set(), threading.Event().wait()));"
        " begun.wait()"
    )

    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0


def test_a_thread_that_has_nothing_to_do_ends_before_the_daemon_looks_again() -> None:
    Workers(1, "idle").submit(lambda: None).result(5)
    (thread,) = [thread for thread in threading.enumerate() if thread.name.startswith("idle-")]

    thread.join(SWEEP)

    assert not thread.is_alive()

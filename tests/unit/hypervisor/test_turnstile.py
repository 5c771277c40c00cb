"""A turnstile lets a few in at a time, and whoever hangs inside holds up nobody for long."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.turnstile import Turnstile


def test_no_more_than_its_size_are_inside_at_once() -> None:
    turnstile = Turnstile(FakeClock(), size=2, patience=60)
    entered, may_leave = threading.Event(), threading.Event()

    def visit() -> None:
        with turnstile.turn():
            entered.set()
            may_leave.wait()

    with ExitStack() as inside:
        inside.enter_context(turnstile.turn())
        inside.enter_context(turnstile.turn())
        third = threading.Thread(target=visit)
        third.start()
        early = entered.wait(0.05)

    assert not early
    assert entered.wait(10)
    may_leave.set()
    third.join(10)


def test_who_has_been_inside_for_long_is_not_counted() -> None:
    clock = FakeClock()
    turnstile = Turnstile(clock, size=1, patience=0.5)

    with turnstile.turn():
        clock.advance(0.6)
        with turnstile.turn():
            entered = True

    assert entered

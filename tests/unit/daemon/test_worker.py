"""Plans that are carried out beside the loop: which objects they hold, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from reconciler.clock import SystemClock
from reconciler.daemon.worker import Workers
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action
from reconciler.model.steps import FenceHost
from tests.unit.executor.bench import action, create_step, plan_of

WAIT = 10.0
WEB, DB = action(create_step(), id="web"), action(create_step("db"), "VirtualMachine/db", id="db")


class Plans:
    """A session whose plans do what the test says."""

    def __init__(self, carry_out: Callable[[Any, threading.Event], None]) -> None:
        self.woken = threading.Event()
        self.urgent: list[bool] = []
        self.workers = Workers(
            SimpleNamespace(execute=lambda _view, *, observer, stop, **_: carry_out(observer, stop)),  # type: ignore[arg-type]  # all that is used of a session
            SystemClock(),
            on_end=self.wake,
        )

    def wake(self, urgent: bool) -> None:
        self.urgent.append(urgent)
        self.woken.set()

    def start(self, *actions: Action) -> None:
        self.workers.start(SimpleNamespace(plan=plan_of(*actions)), "p1")  # type: ignore[arg-type]  # all that is used of a view


def test_an_object_is_let_go_when_its_last_action_ended_though_its_plan_goes_on() -> None:
    ending = threading.Event()

    def carry_out(observer: Any, _stop: threading.Event) -> None:
        observer.action_ended(WEB, Outcome("web", "done"))
        ending.wait(WAIT)

    plans = Plans(carry_out)
    plans.start(WEB, DB)

    assert plans.woken.wait(WAIT)
    assert plans.workers.targets == {"VirtualMachine/db"}
    ending.set()
    plans.workers.stop(WAIT)
    assert plans.workers.targets == frozenset()


def test_the_end_of_a_fencing_is_urgent_as_vms_wait_for_it() -> None:
    fence = action(FenceHost("h1", "i1"), "Host/h1", id="fence", host=None)

    def carry_out(observer: Any, _stop: threading.Event) -> None:
        observer.action_ended(WEB, Outcome("web", "done"))
        observer.action_ended(fence, Outcome("fence", "done"))

    plans = Plans(carry_out)
    plans.start(WEB, fence)
    plans.workers.stop(WAIT)

    assert plans.urgent[:2] == [False, True]


def test_a_plan_that_breaks_off_holds_nothing() -> None:
    def carry_out(_observer: Any, _stop: threading.Event) -> None:
        raise ZeroDivisionError

    plans = Plans(carry_out)
    plans.start(WEB, DB)

    assert plans.woken.wait(WAIT)
    assert plans.workers.targets == frozenset()


def test_plans_in_flight_are_asked_to_end() -> None:
    ended = threading.Event()

    def carry_out(_observer: Any, stop: threading.Event) -> None:
        if stop.wait(WAIT):
            ended.set()

    plans = Plans(carry_out)
    plans.start(WEB)

    plans.workers.stop(WAIT)

    assert ended.is_set()

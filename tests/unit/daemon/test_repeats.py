"""What was done and is planned again at once was planned from old news: it waits, longer each time."""

from __future__ import annotations

import pytest

from reconciler.daemon.repeats import Repeats
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.plan import Action, Plan
from tests.support.fleets import story, vm


def plan_of(name: str) -> Plan:
    """The plan that makes one VM."""
    return story(vm(name)).plan()


def carry_out(repeats: Repeats, plan: Plan) -> tuple[Action, ...]:
    for action in plan.actions:
        repeats.done(action)
    return plan.actions


def test_what_was_never_done_is_done_at_once() -> None:
    assert Repeats(FakeClock()).pause(plan_of("web")) == 0.0


def test_what_is_planned_again_waits_longer_each_time_but_not_forever() -> None:
    clock = FakeClock()
    repeats, pauses = Repeats(clock), []
    for _ in range(6):
        carry_out(repeats, plan_of("web"))
        pauses.append(repeats.pause(plan_of("web")))
        clock.advance(pauses[-1])

    assert pauses == pytest.approx([1.0, 2.0, 4.0, 8.0, 10.0, 10.0])
    assert repeats.pause(plan_of("web")) == 0.0


def test_a_plan_with_anything_new_in_it_is_carried_out_at_once() -> None:
    repeats = Repeats(FakeClock())
    carry_out(repeats, plan_of("web"))

    assert repeats.pause(story(vm("web"), vm("db")).plan()) == 0.0


def test_what_was_done_a_while_ago_is_no_repeat() -> None:
    clock = FakeClock()
    repeats = Repeats(clock)
    for _ in range(5):
        carry_out(repeats, plan_of("web"))

    clock.advance(60.0)
    carry_out(repeats, plan_of("web"))

    assert repeats.pause(plan_of("web")) == pytest.approx(1.0)

"""A guest that ends by itself is started again with growing pauses and at last left alone; no other fault counts."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.domain import DomainState
from reconciler.model.ledger import Failure
from reconciler.model.steps import StartDomain
from reconciler.planner.restarts import in_a_row
from tests.support.fleets import NOW, POLICY, Story, mark, observed, story, vm

WINDOW: Final = POLICY.ha.restart_window
_HOUR: Final = 3600.0


def ended(
    reason: str = "crashed", *, before: tuple[float, ...] = (), state: DomainState = "shutoff", **spec: Any
) -> Story:
    """A VM that ran and is off for `reason`, restarted so many seconds ago, oldest first."""
    fleet = story(vm(**spec)).converged()
    off = replace(fleet.domain(), state=state, reason=reason, live=None)
    return fleet.with_domain(off).with_ledger(restarts={"web": tuple(NOW - ago for ago in before)})


def lived(fleet: Story, seconds: float) -> list[float]:
    """Times from now at which a VM that crashes one second after each start is started again, looked at each second."""
    started = []
    for second in range(int(seconds)):
        now = NOW + second
        if "start-domain" in replace(fleet, now=now).kinds():
            started.append(float(second))
            fleet = fleet.with_ledger(restarts={"web": (*fleet.ledger.restarts["web"], now)})
    return started


def test_the_first_time_it_is_started_again_at_once() -> None:
    start = ended().action("start-domain")

    assert start.why == "ended"


@pytest.mark.parametrize(
    ("reason", "how"),
    [("crashed", "it crashed"), ("shutdown", "its guest had shut down"), ("daemon", "its QEMU was given up")],
)
def test_a_restart_tells_how_it_ended_and_how_often_that_was(reason: str, how: str) -> None:
    assert how in ended(reason).action("start-domain").detail
    assert ended(reason, before=(30.0,)).action("start-domain").detail.endswith("(restart 2 of 5)")


def test_pauses_grow_until_it_is_left_alone_and_tried_again_after_the_window() -> None:
    assert lived(ended(), _HOUR)[:7] == [0, 10, 30, 70, 150, 750, 760]


def test_a_pause_says_how_long_it_is_and_how_often_it_was_tried() -> None:
    waiting = ended(before=(15, 4)).unmet()["crash-loop"]

    assert "it crashed after 2 restarts: the next one in 16 s" in waiting.detail
    assert waiting.severity == "waiting"


def test_a_crash_loop_is_blocked_with_the_command_that_ends_it() -> None:
    fleet = ended(before=(150, 140, 120, 80, 1))

    looping = fleet.unmet()["crash-loop"]
    assert fleet.plan().empty
    assert (looping.severity, looping.host) == ("blocked", "h1")
    assert looping.hint == "reconciler resume VirtualMachine/web"
    assert "left alone for 599 s" in looping.detail


def test_a_guest_that_shuts_itself_down_again_and_again_is_left_alone_too() -> None:
    looping = ended("shutdown", before=(150, 140, 120, 80, 1)).unmet()["crash-loop"]

    assert "its guest had shut down" in looping.detail


def test_a_run_as_long_as_the_window_starts_the_count_anew() -> None:
    assert ended(before=(WINDOW + 150, WINDOW + 140, WINDOW + 120, WINDOW + 80, WINDOW)).kinds() == ["start-domain"]


def test_a_job_that_fails_is_held_off_as_well() -> None:
    assert "crash-loop" in ended(before=(1,), runStrategy="RerunOnFailure").unmet()


def test_a_job_that_is_done_is_neither_run_again_nor_in_a_loop() -> None:
    fleet = ended("shutdown", before=(9, 8, 7, 6, 5), runStrategy="RerunOnFailure")

    assert fleet.plan().empty
    assert not fleet.unmet()


@pytest.mark.parametrize("strategy", ["Manual", "Halted"])
def test_what_is_not_to_be_started_is_in_no_loop(strategy: str) -> None:
    assert not ended(before=(9, 8, 7, 6, 5), runStrategy=strategy).unmet()


@pytest.mark.parametrize("reason", ["unknown", "", "destroyed", "failed"])
def test_what_its_host_or_people_did_does_not_count(reason: str) -> None:
    """After a reboot of the host libvirt knows no reason any more."""
    fleet = ended(reason, before=(9, 8, 7, 6, 5))

    assert fleet.action("start-domain").why != "ended"


def test_a_vm_that_people_forced_off_is_started_again_as_drift() -> None:
    start = ended("destroyed").action("start-domain")

    assert start.why == "drift"
    assert [(change.field, change.old, change.new) for change in start.changes] == [("state", "shutoff", "running")]


def test_a_crashed_domain_that_libvirt_kept_counts() -> None:
    assert "crash-loop" in ended("panicked", state="crashed", before=(9, 8, 7, 6, 5)).unmet()


def test_a_changed_spec_is_tried_at_once() -> None:
    fleet = ended(before=(9, 8, 7, 6, 5)).with_specs(vm(memory="2GiB"))

    assert fleet.kinds() == ["redefine-domain", "start-domain"]
    assert fleet.action("start-domain").why == "run-strategy"


def test_a_vm_that_was_made_anew_elsewhere_is_started_at_once() -> None:
    fleet = ended("shutdown", before=(9, 8, 7, 6, 5))
    never = replace(fleet.ledger.placements["web"], ran=False)

    assert fleet.with_ledger(placements={"web": never}).kinds() == ["start-domain"]


def test_a_start_that_failed_waits_for_its_own_backoff_alone() -> None:
    key = "start-domain:VirtualMachine/web@h1"
    failure = Failure(key, 1, "no memory", permanent=False, not_before=NOW - 1, inputs="")

    assert ended(before=(9, 8, 7, 6, 5)).with_ledger(failures={key: failure}).kinds() == ["start-domain"]


def test_a_clock_that_was_set_back_holds_nobody_off() -> None:
    assert ended(before=(-86_400, -86_390, -86_380, -86_370, -86_360)).kinds() == ["start-domain"]


def test_a_clock_that_jumped_ahead_starts_the_count_anew() -> None:
    assert replace(ended(before=(9, 8, 7, 6, 5)), now=NOW + 86_400).kinds() == ["start-domain"]


def test_another_number_of_restarts_is_borne_where_the_policy_says_so() -> None:
    assert in_a_row((0.0, 10.0, 30.0), window=15.0, now=31.0) == 1
    assert in_a_row((0.0, 10.0, 30.0), window=25.0, now=31.0) == 2


@given(st.lists(st.floats(0, 10_000), max_size=20).map(sorted), st.floats(0, 20_000), st.floats(1, 1000))
def test_never_more_restarts_count_than_there_were(restarts: list[float], now: float, window: float) -> None:
    assert 0 <= in_a_row(tuple(restarts), window, now) <= len(restarts)


# -- paused on an I/O error ----------------------------------------------------------------------------------------
def stuck(fleet: Story) -> Story:
    """The guest is paused because its storage failed."""
    return fleet.with_domain(replace(fleet.domain(), state="paused", reason="ioerror"))


def test_a_guest_stuck_on_its_storage_is_reported_and_left_as_it_is() -> None:
    fleet = stuck(story(vm()).converged())

    assert fleet.plan().empty
    assert "by an I/O error" in fleet.unmet()["guest-paused"].detail


def test_a_guest_stuck_on_its_storage_gets_no_second_copy_while_its_host_is_out_of_sight() -> None:
    assert stuck(story(vm(), shared=True).converged()).losing_sight_of("h1").plan().empty


def test_a_stale_copy_that_is_stuck_is_never_resumed() -> None:
    """It was stuck when its VM was started elsewhere."""
    fleet = stuck(story(vm(), shared=True).converged()).placed("web", "h2", epoch=2)
    config = replace(fleet.domain().config, mark=mark(epoch=2, spec_hash=fleet.domain().config.mark.spec_hash))  # type: ignore[union-attr]

    both = fleet.with_domain(observed(config), on="h2")

    assert not [action for action in both.plan().actions if isinstance(action.step, StartDomain)]

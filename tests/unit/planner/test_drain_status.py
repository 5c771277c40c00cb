"""`status` tells how far a host in maintenance is emptied, and when its power may go off."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from reconciler.model.status import Drain, HostStatus
from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import NOW, Story, host, story, stranger, vm
from tests.unit.planner.test_cold_moves import failed, refused, was_shut_down
from tests.unit.planner.test_cold_moves import fleet as cold_fleet
from tests.unit.planner.test_drain import fleet, settled


def of_h1(now: Story) -> HostStatus:
    status = fleet_status(now.specs, now.inventory, now.ledger, now.policy, now.plan(), now.now)
    return next(found for found in status.hosts if found.name == "h1")


def drain(now: Story) -> Drain:
    found = of_h1(now).drain
    assert found is not None
    return found


def test_a_host_that_is_emptied_tells_how_many_are_left() -> None:
    status = of_h1(fleet(vm("a"), vm("b")))

    assert status.drain == Drain(left=2, stuck=0, strangers=0, at_work=False)
    assert status.message == "being emptied: 2 VMs left"


def test_an_empty_host_is_safe_to_power_off() -> None:
    done = settled(fleet(vm("a"), vm("b")))

    assert drain(done).is_safe
    assert of_h1(done).message == "safe to power off"


def test_vms_that_are_off_and_stay_are_no_reason_to_wait_and_are_told_of() -> None:
    there = fleet(vm("a", runStrategy="Halted", placement={"onDrain": "block"}), vm("b", runStrategy="Halted"))

    assert drain(there.applied()).is_safe
    assert of_h1(there.applied()).message == "safe to power off; 1 VM that is off on it"


@pytest.mark.parametrize("is_permanent", [True, False])
def test_what_is_off_and_to_be_moved_once_more_after_a_failure_is_left_on_the_host(is_permanent: bool) -> None:
    there = fleet(vm(runStrategy="Halted"), hosts=2)
    move = there.action("migrate-domain")
    failure = Failure(move.id, 1, "no route", is_permanent, NOW + 60, action_inputs(move))
    waits = there.with_ledger(failures={failure.key: failure})

    assert waits.plan().empty
    assert of_h1(waits).message == "being emptied: 1 VM left"


def test_what_was_shut_down_for_its_move_is_left_on_the_host_while_that_waits_for_its_next_try() -> None:
    there = failed(was_shut_down(cold_fleet(hosts=2)), 1)

    assert there.plan().empty
    assert not drain(there).is_safe


def test_what_is_to_be_started_there_as_no_host_takes_it_is_left_on_the_host_while_that_waits() -> None:
    there = refused(was_shut_down(cold_fleet(hosts=2)), 1)
    start = there.action("start-domain")
    failure = Failure(start.id, 1, "no memory", False, NOW + 60, action_inputs(start))
    waits = there.with_ledger(failures={**there.ledger.failures, failure.key: failure})

    assert waits.plan().empty
    assert not drain(waits).is_safe


def test_vms_that_can_not_be_moved_are_counted() -> None:
    stuck = fleet(vm("a", placement={"onDrain": "block"}), vm("b"))

    assert of_h1(stuck).message == "being emptied: 2 VMs left, 1 of them can't be moved"
    assert not drain(stuck).is_safe


def test_guests_of_other_people_are_told_of_and_the_host_is_not_safe() -> None:
    done = settled(fleet(vm()))
    other = stranger("theirs", done.domain(on="h2").config)

    left = done.with_domain(other)

    assert of_h1(left).message == "empty, but for 1 unmanaged guest"
    assert not drain(left).is_safe


def test_a_host_that_could_not_be_read_is_never_called_empty() -> None:
    unread = settled(fleet(vm())).losing_sight_of("h1")

    assert of_h1(unread).drain is None


def test_a_host_on_which_somebody_is_at_work_is_not_safe() -> None:
    halted = fleet(vm(runStrategy="Halted"))

    assert not drain(
        replace(halted, ledger=replace(halted.ledger, in_flight=frozenset({"VirtualMachine/web"})))
    ).is_safe


def test_an_active_host_has_no_such_word() -> None:
    assert of_h1(story(vm(), host("h1"), hosts=2, shared=True).converged()).drain is None


def test_a_host_that_was_emptied_and_is_switched_off_is_said_to_carry_none() -> None:
    unread = settled(fleet(vm())).losing_sight_of("h1")

    assert of_h1(unread).message.endswith("; no VM of the fleet is placed there")


def test_a_host_that_is_silent_before_it_is_emptied_is_not_said_to_carry_none() -> None:
    unread = fleet(vm()).losing_sight_of("h1")

    assert "no VM" not in of_h1(unread).message


def test_a_vm_with_two_copies_is_counted_among_those_that_can_not_be_moved() -> None:
    twice = fleet(vm())
    twice = twice.with_domain(replace(twice.domain(), state="shutoff", live=None), on="h2")

    assert of_h1(twice).message == "being emptied: 1 VM left, 1 of them can't be moved"


def test_a_host_that_was_emptied_and_is_switched_off_is_a_planned_outage() -> None:
    off = settled(fleet(vm())).losing_sight_of("h1")
    status = fleet_status(off.specs, off.inventory, off.ledger, off.policy, off.plan(), off.now)

    assert of_h1(off).is_out_of_service
    assert status.healthy


def test_a_host_that_still_carries_something_is_missed() -> None:
    running = fleet(vm()).losing_sight_of("h1")
    halted = fleet(vm(runStrategy="Halted", placement={"onDrain": "block"})).losing_sight_of("h1")
    active = settled(fleet(vm())).with_specs(host("h1"), without=["Host/h1"]).losing_sight_of("h1")

    for unseen in (running, halted, active):
        status = fleet_status(unseen.specs, unseen.inventory, unseen.ledger, unseen.policy, unseen.plan(), unseen.now)
        assert not of_h1(unseen).is_out_of_service
        assert not status.healthy


def test_another_machine_in_the_place_of_an_emptied_host_is_no_planned_outage() -> None:
    done = settled(fleet(vm()))
    other = done.with_ledger(identities={"h1": "another-machine"})

    assert not of_h1(other).is_out_of_service

"""Hosts that were lost and come back: their old copies go, and then they are hosts again."""

from __future__ import annotations

from msgspec.structs import replace

from tests.support.fleets import Story, pool, story, vm
from tests.unit.planner.test_recovery import WEB, running, running_on, with_local_disk


def recovered() -> tuple[Story, Story]:
    """`web` on h1, and then on another host because h1 died."""
    before = running()
    return before, before.lost("h1").proven("h1").converged()


def test_the_old_copy_of_a_returned_host_is_forced_off_and_undefined_and_its_disks_are_kept() -> None:
    before, after = recovered()
    fleet = after.returned(before, "h1")

    actions = fleet.plan().actions

    assert [(a.kind, a.host, a.sign) for a in actions] == [
        ("stop-domain", "h1", "change"),
        ("undefine-domain", "h1", "change"),
    ]
    assert running_on(fleet.applied()) == running_on(after)
    assert actions[0].detail.endswith("it ran on h1 all the same, so check its disks")


def test_an_old_copy_that_an_io_error_paused_is_killed_and_never_resumed() -> None:
    before, after = recovered()
    paused = before.with_domain(replace(before.domain(), state="paused", reason="ioerror"))

    assert after.returned(paused, "h1").kinds() == ["stop-domain", "undefine-domain"]


def test_an_old_copy_is_cleared_though_the_host_of_the_true_one_can_not_be_read() -> None:
    before, after = recovered()
    (there,) = running_on(after)

    fleet = after.losing_sight_of(there).returned(before, "h1")

    assert fleet.kinds() == ["stop-domain", "undefine-domain"]


def test_a_returned_host_takes_no_vm_until_its_incident_is_over() -> None:
    before, after = recovered()
    fleet = after.returned(before, "h1").converged().with_specs(vm("new", placement={"hosts": ["h1"]}))

    assert ("h1", "it is back and not clean yet") in fleet.unmet("VirtualMachine/new")["no-host-fits"].per_host
    assert fleet.over("h1").action("define-domain").host == "h1"


def test_copies_of_equal_epochs_are_left_alone_on_a_returned_host_too() -> None:
    fleet = running()
    twice = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None), on="h2")

    back = twice.lost("h2").returned(twice, "h2")

    assert back.plan().empty
    assert "conflict" in back.unmet()


def test_the_copy_of_the_highest_epoch_is_never_cleared() -> None:
    before, after = recovered()
    (there,) = running_on(after)

    fleet = after.returned(before, "h1").placed("web", there, 9)

    assert fleet.plan().empty
    assert "conflict" in fleet.unmet()


def test_a_vm_that_waited_for_its_host_is_started_there_once_it_is_back() -> None:
    before = with_local_disk()
    off = before.with_domain(replace(before.domain(), state="shutoff", live=None))

    fleet = before.lost("h1").proven("h1").returned(off, "h1")

    assert fleet.action("start-domain").host == "h1"


def test_an_old_copy_of_a_vm_that_left_the_specs_goes_before_the_vm_does() -> None:
    before, after = recovered()
    fleet = after.returned(before, "h1").with_specs(without=[WEB])

    assert {action.host for action in fleet.plan().actions} == {"h1"}
    assert running_on(fleet.converged()) == []


def test_pools_of_another_kind_are_no_hindrance() -> None:
    fleet = story(vm(disks=[]), pool("vms"), hosts=2).converged()
    (there,) = running_on(fleet)

    assert fleet.lost(there).proven(there).kinds(WEB) == ["define-domain", "start-domain"]

"""VMs that people moved are where they are now."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import Story, story, vm


def running() -> Story:
    """`web` runs on h1 of two hosts, on shared storage."""
    return story(vm(), shared=True).converged()


def test_a_vm_moved_by_hand_is_converged_where_it_is_now() -> None:
    fleet = running()
    moved = fleet.without_domain().with_domain(fleet.domain(), on="h2").edited(on="h2", memory=1 << 29).noticed()

    assert moved.action("redefine-domain").host == "h2"


def test_a_vm_moved_by_hand_gets_an_epoch_that_a_copy_left_behind_does_not_have() -> None:
    fleet = running()
    moved = fleet.without_domain().with_domain(fleet.domain(), on="h2").noticed().converged()
    back = moved.with_domain(fleet.domain(), on="h1")

    assert moved.domain(on="h2").config.mark.epoch == 2  # type: ignore[union-attr]
    assert [(action.kind, action.host) for action in back.plan().actions] == [
        ("stop-domain", "h1"),
        ("undefine-domain", "h1"),
    ]


def held_and_moved() -> Story:
    """`web` was moved to h2 by hand while it was held: its mark is still that of before."""
    fleet = running()
    return fleet.without_domain().with_domain(fleet.domain(), on="h2").noticed()


def test_a_vm_moved_there_and_back_while_it_was_held_is_converged_where_it_is() -> None:
    moved = held_and_moved()

    back = moved.without_domain(on="h2").with_domain(moved.domain(on="h2"), on="h1").noticed()

    assert back.action("redefine-domain").host == "h1"
    assert back.converged().domain(on="h1").config.mark.epoch == 3  # type: ignore[union-attr]


def test_a_copy_with_the_mark_of_before_a_move_is_never_forced_off_on_a_host_that_was_lost() -> None:
    moved = held_and_moved()
    with_copy = moved.without_domain(on="h2").with_domain(moved.domain(on="h2"), on="h1")

    back = with_copy.lost("h1").returned(with_copy, "h1")

    assert back.plan().empty
    assert "conflict" in back.unmet()


def test_a_copy_of_before_the_move_of_a_recovered_vm_goes_before_the_mark_is_new() -> None:
    before = running().placed("web", "h1", 1)
    recovered = before.edited(mark=replace(before.domain().config.mark, epoch=2))  # type: ignore[type-var]
    moved = recovered.placed("web", "h1", 2).without_domain().with_domain(recovered.domain(), on="h2").noticed()

    returned = moved.with_domain(before.domain(), on="h1")

    assert {(action.kind, action.host) for action in returned.plan().actions} == {
        ("stop-domain", "h1"),
        ("undefine-domain", "h1"),
    }


def left_behind() -> Story:
    """As `virsh migrate --live` leaves it without --persistent and --undefinesource: h1 has it defined, and off."""
    fleet = running()
    there = replace(fleet.domain(), persistent=False, reason="migrated")
    off = replace(fleet.domain(), state="shutoff", reason="migrated", live=None)
    return fleet.with_domain(there, on="h2").with_domain(off, on="h1").noticed()


def test_what_a_move_by_hand_left_behind_is_what_is_to_be_undefined_not_what_runs() -> None:
    conflict = left_behind().unmet()["conflict"]

    assert left_behind().plan().empty
    assert "the one on h2 runs" in conflict.hint
    assert conflict.hint.endswith("virsh -c qemu+ssh://h1.example/system undefine web")


def test_a_vm_that_runs_where_it_was_moved_by_hand_is_not_said_to_be_stopped() -> None:
    moved = left_behind()

    status = fleet_status(moved.specs, moved.inventory, moved.ledger, moved.policy, moved.plan(), moved.now)

    assert [(found.host, found.health) for found in status.vms] == [("h2", "running")]


def test_once_what_was_left_behind_is_undefined_the_vm_is_defined_where_it_runs() -> None:
    undefined = left_behind().without_domain(on="h1").noticed()

    assert undefined.action("redefine-domain").host == "h2"
    assert undefined.converged().plan().unmet == ()

"""What is not done now, though it would have to be: failures, work in flight, pauses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from tests.support.fleets import NOW, Story, host, image, story, vm

WEB = "VirtualMachine/web"


def failing(fleet: Story, action_id: str, *, permanent: bool = False, not_before: float = NOW + 30) -> Story:
    """The action was tried twice and failed."""
    action = next(a for a in fleet.plan().actions if a.id == action_id)
    failure = Failure(action_id, 2, "no space", permanent, not_before, action_inputs(action))
    return fleet.with_ledger(failures={action_id: failure})


def test_after_a_failure_the_action_and_all_that_need_it_wait() -> None:
    fleet = failing(story(vm(), hosts=1), "upload-image:Image/debian:vms@h1")

    plan = fleet.plan()

    assert fleet.kinds(WEB) == []
    assert fleet.unmet("Image/debian")["backoff"].detail == "upload to pool vms, 2GiB: no space (2 tries, next in 30 s)"
    assert fleet.unmet()["backoff"].detail.startswith("waits for Image/debian: upload to pool vms")
    assert set(plan.held) == {
        "upload-image:Image/debian:vms@h1",
        "create-volume:VirtualMachine/web:root@h1",
        "define-domain:VirtualMachine/web@h1",
        "start-domain:VirtualMachine/web@h1",
    }


def test_once_its_time_has_come_the_action_is_tried_again() -> None:
    fleet = failing(story(vm(), hosts=1), "upload-image:Image/debian:vms@h1", not_before=NOW)

    assert "upload-image" in fleet.kinds()


def test_a_permanent_failure_blocks_and_says_so() -> None:
    fleet = failing(story(vm(), hosts=1), "define-domain:VirtualMachine/web@h1", permanent=True)

    assert fleet.unmet()["failed"].severity == "blocked"
    assert fleet.kinds(WEB) == ["create-volume"]


def test_an_action_that_would_do_something_else_now_is_tried_at_once() -> None:
    fleet = failing(story(vm(), hosts=1), "define-domain:VirtualMachine/web@h1", permanent=True)

    assert "define-domain" in fleet.with_specs(vm(memory="2GiB")).kinds()


def test_a_guest_is_not_shut_down_for_a_restart_whose_start_would_have_to_wait() -> None:
    fleet = story(vm(updatePolicy="restart"), hosts=1).converged()
    changed = fleet.with_specs(vm(updatePolicy="restart", memory="2GiB"))

    waiting = failing(changed, "start-domain:VirtualMachine/web@h1")

    assert waiting.kinds() == ["redefine-domain"]


def test_an_object_that_an_earlier_pass_is_still_at_is_left_to_it() -> None:
    fleet = story(vm(), vm("db"), hosts=1).with_ledger(in_flight=frozenset({WEB}))

    assert fleet.kinds(WEB) == []
    assert "in-progress" in fleet.unmet()
    assert "define-domain" in fleet.kinds("VirtualMachine/db")


def test_a_vm_that_needs_what_an_earlier_pass_is_at_waits_for_it() -> None:
    fleet = story(vm(), hosts=1).with_ledger(in_flight=frozenset({"Image/debian"}))

    assert fleet.unmet()["in-progress"].detail == "waits for Image/debian: an earlier pass is still at it"


ANNOTATION = "take the annotation reconciler/paused out of the spec of VirtualMachine/web"


@pytest.mark.parametrize(
    ("how", "way_on"), [("command", "reconciler resume VirtualMachine/web"), ("annotation", ANNOTATION)]
)
def test_a_held_vm_is_not_changed_and_what_only_it_needs_is_not_made(how: str, way_on: str) -> None:
    notes = {"reconciler/paused": "true"} if how == "annotation" else {}
    fleet = story(vm(annotations=notes), hosts=1)
    held = fleet.with_ledger(paused=frozenset({WEB})) if how == "command" else fleet

    assert held.kinds("Image/debian") == []
    assert held.kinds(WEB) == []
    assert held.unmet()["paused"].hint == way_on


def test_a_held_vm_with_nothing_to_do_is_not_worth_a_word() -> None:
    fleet = story(vm(), hosts=1).converged().with_ledger(paused=frozenset({WEB}))

    assert fleet.plan().unmet == ()


def test_a_held_fleet_changes_nothing_at_all() -> None:
    fleet = story(vm(), hosts=1).with_ledger(paused=frozenset({"fleet"}))

    assert fleet.plan().empty
    held = [unmet for unmet in fleet.plan().unmet if unmet.reason == "paused"]
    assert {unmet.hint for unmet in held} == {"reconciler resume"}


def test_on_a_held_host_nothing_is_changed_and_no_new_vm_comes() -> None:
    fleet = story(vm()).converged().with_specs(host("h1", annotations={"reconciler/paused": "true"}), vm("db"))
    edited = fleet.edited(memory=1)

    assert {action.host for action in edited.plan().actions} == {"h2"}
    assert "Host/h1 is held" in edited.unmet()["paused"].detail


def test_a_held_image_does_not_hold_vms_that_have_their_disks() -> None:
    fleet = story(vm(), hosts=1).converged().with_specs(image(annotations={"reconciler/paused": "true"}))

    assert fleet.edited(memory=1).kinds() == ["redefine-domain"]


def test_the_fingerprint_of_a_plan_follows_its_actions_and_nothing_else() -> None:
    fleet = story(vm(), hosts=1)

    assert fleet.plan().fingerprint == replace(fleet, now=NOW + 100).plan().fingerprint
    assert fleet.plan().fingerprint != fleet.with_specs(vm(memory="2GiB")).plan().fingerprint

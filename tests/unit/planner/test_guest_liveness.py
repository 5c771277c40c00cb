"""A guest whose agent is silent is told of; it is never a reason to do anything to it."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import NOW, POLICY, Story, story, vm

LIVENESS = {"liveness": "30s"}


def silent(fleet: Story) -> Story:
    return fleet.with_ledger(silent_guests={"web": NOW - 60})


def health(fleet: Story) -> tuple[str, str, bool]:
    """Of the one VM: health and sync; and whether the fleet is healthy."""
    status = fleet_status(fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.plan(), NOW)
    return status.vms[0].health, status.vms[0].sync, status.healthy


def test_a_silent_guest_is_told_of_and_left_alone() -> None:
    fleet = silent(story(vm(guestAgent=LIVENESS)).converged())

    told = fleet.unmet()["guest-not-answering"]
    assert fleet.plan().empty
    assert told.detail == "its agent has been silent for more than 30s"
    assert told.hint == "virsh -c qemu+ssh://h1.example/system console web"


def test_a_silent_guest_is_in_sync_and_not_healthy() -> None:
    assert health(silent(story(vm(guestAgent=LIVENESS)).converged())) == ("not-answering", "in-sync", False)


def test_a_guest_that_answers_is_healthy() -> None:
    assert health(story(vm(guestAgent=LIVENESS)).converged()) == ("running", "in-sync", True)


def test_what_was_noted_of_a_guest_that_is_not_asked_any_more_says_nothing() -> None:
    assert not silent(story(vm()).converged()).unmet()


def test_a_guest_that_is_off_is_not_called_silent() -> None:
    fleet = silent(story(vm(guestAgent=LIVENESS, runStrategy="Manual")).converged())
    off = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None, reason="shutdown"))

    assert "guest-not-answering" not in off.unmet()

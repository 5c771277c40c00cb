"""A watchdog device is a field of a VM like any other, and what it did to a guest is said."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.domain import WatchdogConfig
from reconciler.planner.vm_domain import spec_hash
from tests.support.domains import domain_config
from tests.support.fleets import story, vm


def test_a_new_vm_has_the_watchdog_of_its_spec() -> None:
    fleet = story(vm(watchdog={})).converged()

    assert fleet.domain().config.watchdog == WatchdogConfig("i6300esb", "reset")


def test_a_watchdog_that_comes_to_a_running_vm_waits_for_its_next_boot() -> None:
    fleet = story(vm()).converged().with_specs(vm(watchdog={"action": "poweroff"}))

    change = fleet.action("redefine-domain").changes[0]
    assert (change.field, change.old, change.new, change.disruption) == (
        "watchdog",
        "none",
        "i6300esb, poweroff",
        "reboot",
    )
    assert "restart-pending" in fleet.converged().unmet()


def test_a_watchdog_taken_out_by_hand_is_drift() -> None:
    fleet = story(vm(watchdog={})).converged().edited(watchdog=None)

    assert fleet.action("redefine-domain").why == "drift"


def test_a_vm_without_a_watchdog_was_not_changed_by_there_being_watchdogs() -> None:
    """Its hash, which is in the marks of all VMs that run, is the same as before there were any."""
    assert "watchdog" not in repr(domain_config())
    assert spec_hash(domain_config()) != spec_hash(domain_config(watchdog=WatchdogConfig("i6300esb", "reset")))


def test_a_guest_that_its_watchdog_paused_is_reported_and_not_resumed() -> None:
    fleet = story(vm(watchdog={"action": "pause"})).converged()
    fleet = fleet.with_domain(replace(fleet.domain(), state="paused", reason="watchdog"))

    assert fleet.plan().empty
    assert "by its watchdog" in fleet.unmet()["guest-paused"].detail

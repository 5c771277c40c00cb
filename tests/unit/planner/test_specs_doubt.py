"""Specs that may be older than those that the fleet was led by only keep it running."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.daemon.decision import decide
from tests.support.fleets import Story, observed_network, story, vm

DOUBT = "these may be older"
WEB = "VirtualMachine/web"


def doubted(fleet: Story) -> Story:
    return fleet.with_specs(doubt=DOUBT, removal_hold=DOUBT)


def off(fleet: Story) -> Story:
    return fleet.with_domain(replace(fleet.domain(), state="shutoff", reason="shutdown", live=None))


CHANGES = {
    "what they don't name is removed": lambda s: s.with_specs(without=[WEB]),
    "what they name is made": lambda s: s.with_specs(vm("other")),
    "their sizes are given": lambda s: s.with_specs(vm(memory="2GiB", updatePolicy="restart")),
    "what they want off is shut down": lambda s: s.with_specs(vm(runStrategy="Halted")),
}


@pytest.mark.parametrize("case", CHANGES)
def test_while_they_are_in_doubt_nothing_of_this_is_done(case: str) -> None:
    changed = CHANGES[case](story(vm()).converged())
    assert not changed.plan().empty

    held = doubted(changed)

    assert held.plan().empty
    waits = [each for each in held.plan().unmet if each.reason == "specs-doubted"]
    assert {each.hint for each in waits} == {"reconciler leader --accept-specs --reason TEXT"}
    assert "VirtualMachine" in {each.target.kind for each in waits}


def test_what_is_off_is_started_with_what_that_needs() -> None:
    fleet = off(story(vm()).converged()).with_network(observed_network(active=False))

    assert doubted(fleet).kinds() == fleet.kinds() == ["start-network", "start-domain"]


def test_a_start_that_would_boot_another_system_waits() -> None:
    fleet = off(story(vm()).converged())
    other = fleet.with_specs(vm(disks=[{"name": "new", "image": "debian", "pool": "vms"}]))
    assert "start-domain" in other.kinds()

    assert doubted(other).plan().empty


def test_the_vms_of_a_dead_host_are_recovered() -> None:
    lost = story(vm(), shared=True).converged().lost("h1").armed("h1").proven("h1")
    assert [action.why for action in lost.plan().actions]

    assert doubted(lost).kinds(WEB) == lost.kinds(WEB)


def test_a_lost_host_is_fenced() -> None:
    lost = story(vm(), shared=True).converged().lost("h1").armed("h1")

    assert doubted(lost).kinds("Host/h1") == lost.kinds("Host/h1") != []


def test_drift_is_put_right() -> None:
    fleet = story(vm()).converged()
    edited = fleet.edited(title="by hand")

    assert doubted(edited).kinds() == edited.kinds() != []


def test_no_restart_is_waited_for_that_would_change_nothing() -> None:
    changed = story(vm()).converged().with_specs(vm(memory="2GiB"))

    assert doubted(changed).unmet().keys() == {"specs-doubted"}


def test_status_says_so_once_and_how_to_settle_it() -> None:
    fleet = doubted(story(vm()).converged())
    _, status = decide(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.now)

    (told,) = status.problems
    assert told.startswith("the fleet is only kept running: these may be older (")
    assert "reconciler leader --accept-specs --reason TEXT" in told

"""Hosts are asked what they can do only where a VM may have to move."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.abilities import CpuQuestion, GuestCpu
from reconciler.model.policy import Policy
from reconciler.planner.questions import questions
from tests.support.fleets import FLEET, Story, host, story, vm
from tests.unit.planner.test_drain import settled

_CPU = GuestCpu("custom", "EPYC", check="full")


def running(*specs: object) -> Story:
    """Two VMs on h1, one of which has a certain CPU."""
    fleet = story(vm("a", labels={"app": "web"}), vm("b", labels={"app": "web"}), *specs, hosts=2, shared=True)  # type: ignore[arg-type]
    fleet = fleet.with_specs(host("h2", state="cordoned"), without=["Host/h2"]).converged()
    fleet = fleet.with_specs(host("h2"), without=["Host/h2"])
    return fleet.with_domain(replace(fleet.domain("a"), cpu=_CPU))


def asked(fleet: Story, *, everything: bool = False) -> dict[str, frozenset[CpuQuestion]]:
    placements = fleet.ledger.placements
    return dict(questions(fleet.specs, fleet.inventory, placements, fleet.policy, everything=everything))


def test_a_fleet_at_rest_is_asked_nothing() -> None:
    assert asked(running()) == {}


def test_all_hosts_are_asked_for_the_cpus_of_the_vms_of_a_host_in_maintenance() -> None:
    fleet = running().with_specs(host("h1", state="maintenance"), without=["Host/h1"])

    assert asked(fleet) == dict.fromkeys(("h1", "h2"), frozenset({CpuQuestion(_CPU, "kvm")}))


def test_a_vm_that_is_where_its_placement_does_not_want_it_is_asked_for() -> None:
    for placement in ({"hosts": ["h2"]}, {"nodeSelector": {"rack": "b"}}, {"spread": {"app": "web"}}):
        fleet = running().with_specs(vm("a", labels={"app": "web"}, placement=placement))

        assert set(asked(fleet)) == {"h1", "h2"}, placement


def test_a_vm_that_is_where_its_placement_wants_it_is_not_asked_for() -> None:
    fleet = running().with_specs(vm("a", labels={"app": "web"}, placement={"hosts": ["h1"], "spread": {"app": "db"}}))

    assert asked(fleet) == {}


def test_whoever_wants_to_know_everything_asks_for_all() -> None:
    assert set(asked(running(), everything=True)) == {"h1", "h2"}


def test_a_vm_that_may_return_to_the_host_that_was_emptied_of_it_is_asked_for() -> None:
    emptied = settled(running().with_specs(host("h1", state="maintenance"), without=["Host/h1"]))
    back = replace(emptied, policy=Policy(fleet=FLEET, failback=True))
    back = back.with_specs(host("h1"), without=["Host/h1"])

    assert set(asked(back)) == {"h1", "h2"}
    assert asked(replace(back, policy=Policy(fleet=FLEET))) == {}
    assert asked(settled(back)) == {}

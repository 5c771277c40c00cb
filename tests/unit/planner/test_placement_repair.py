"""A VM whose placement does not allow its host any more is moved to one that it allows."""

from __future__ import annotations

import pytest

from reconciler.model.plan import Action
from tests.support.fleets import Story, host, story, vm
from tests.unit.planner.test_drain import moves, settled

_APART = {"app": "web"}


def running(*specs: object, **fields: object) -> Story:
    """The VMs all run on h1; h2 and h3 have room."""
    others = [host("h2", state="cordoned"), host("h3", state="cordoned")]
    there = story(host("h1", labels={"rack": "a"}), *specs, *others, hosts=3, shared=True, **fields).converged()  # type: ignore[arg-type]
    return there.with_specs(
        host("h2", labels={"rack": "b"}), host("h3", labels={"rack": "b"}), without=["Host/h2", "Host/h3"]
    )


def _move(fleet: Story) -> Action:
    return fleet.action("migrate-domain")


@pytest.mark.parametrize("placement", [{"hosts": ["h2"]}, {"nodeSelector": {"rack": "b"}}])
def test_a_vm_is_moved_to_where_its_placement_wants_it(placement: dict[str, object]) -> None:
    fleet = running(vm()).with_specs(vm(placement=placement))

    assert (_move(fleet).why, _move(fleet).host) == ("placement-rule", "h2")
    assert settled(fleet).domain(on="h2").active


def test_of_two_vms_that_must_not_share_a_host_the_lesser_one_is_moved() -> None:
    fleet = running(vm("a", labels=_APART), vm("b", labels=_APART))
    apart = [
        vm(name, labels=_APART, ha={"priority": priority}, placement={"spread": _APART})
        for name, priority in (("a", 1), ("b", 100))
    ]

    fleet = fleet.with_specs(*apart)

    assert moves(fleet) == {"a": "h2"}
    assert "beside b, against its spread app=web" in _move(fleet).detail


def test_three_vms_that_must_not_share_a_host_end_up_on_three() -> None:
    names = ("a", "b", "c")
    fleet = running(*(vm(name, labels=_APART) for name in names))
    fleet = fleet.with_specs(*(vm(name, labels=_APART, placement={"spread": _APART}) for name in names))

    done = settled(fleet)

    assert [len(known.domains) for known in done.inventory.hosts.values()] == [1, 1, 1]


def test_a_vm_that_is_to_be_spread_only_if_that_can_be_had_stays() -> None:
    fleet = running(vm("a", labels=_APART), vm("b", labels=_APART))

    assert fleet.with_specs(vm("a", labels=_APART, placement={"preferSpread": _APART})).plan().empty


def test_a_vm_that_no_allowed_host_takes_stays_and_that_is_told() -> None:
    fleet = running(vm()).with_specs(vm(placement={"hosts": ["h2"]}), host("h2", state="cordoned"))

    told = fleet.unmet()["not-wanted-here"]
    assert fleet.plan().empty
    assert told.severity == "waiting"
    assert "asks for h2" in told.detail
    assert ("h3", "not in placement.hosts") in told.per_host


def test_a_vm_that_is_off_stays_where_it_is() -> None:
    fleet = running(vm(runStrategy="Halted")).with_specs(vm(runStrategy="Halted", placement={"hosts": ["h2"]}))

    assert fleet.plan().empty
    assert "only running VMs are moved" in fleet.unmet()["not-wanted-here"].detail


def test_hosts_are_emptied_before_rules_are_mended() -> None:
    fleet = running(vm("a"), vm("b"), vm("c")).with_specs(
        vm("a", ha={"priority": 900}, placement={"hosts": ["h2"]}),
        host("h1", labels={"rack": "a"}, state="maintenance"),
        without=["Host/h1"],
    )

    assert all(action.why == "drain" for action in fleet.plan().actions)

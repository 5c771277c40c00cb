"""Nobody's power is cut for nothing: only where a VM would then find room elsewhere, and only for one that ran."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.planner.host_health import POWER_OFF
from tests.support.fleets import GIB, Story, story, vm
from tests.unit.planner.test_fencing import WEB, armed, fenced, pinned, reasons


def bound() -> Story:
    """`web` may run on h1 only."""
    return armed().with_specs(pinned("web", "h1"), without=[WEB])


def with_memory(fleet: Story, amount: int, *names: str) -> Story:
    for name in names:
        facts = replace(fleet.inventory.hosts[name].facts, memory=amount)
        fleet = fleet.with_host(name, facts=facts)
    return fleet


def test_a_host_is_not_cut_off_for_a_vm_that_may_run_nowhere_else() -> None:
    fleet = bound().lost("h1")

    assert fleet.plan().empty
    assert "its power is not cut" in reasons(fleet)["host-lost"]
    assert dict(fleet.unmet()["host-lost"].per_host)["h2"] == "not in placement.hosts"


def test_a_host_is_not_cut_off_where_no_other_has_room_and_is_once_there_is() -> None:
    fleet = with_memory(armed().lost("h1"), GIB // 2, "h2", "h3")

    assert fenced(fleet) == []
    assert fleet.unmet()["host-lost"].per_host == (("h2", "lacks 512MiB of memory"), ("h3", "lacks 512MiB of memory"))
    assert fenced(with_memory(fleet, GIB, "h3")) == ["h1"]


def test_room_that_vms_of_a_dead_host_are_about_to_take_is_not_counted_twice() -> None:
    machines = [pinned("web", "h1"), pinned("other", "h2")]
    fleet = story(*machines, hosts=6, shared=True).converged()
    fleet = fleet.with_specs(vm(), vm("other"), without=[WEB, "VirtualMachine/other"])
    fleet = fleet.armed("h1", "h2").lost("h1", "h2").in_state("h2", "fenced").proven("h2")
    fleet = with_memory(fleet, 0, "h3", "h4", "h5")

    assert fenced(with_memory(fleet, GIB, "h6")) == []
    assert fenced(with_memory(fleet, 2 * GIB, "h6")) == ["h1"]


def test_one_vm_that_finds_room_is_enough_to_cut_its_host_off() -> None:
    fleet = armed().with_specs(vm("big", memory="64GiB")).placed("big", "h1").lost("h1")

    assert fenced(fleet) == ["h1"]


def test_a_host_is_not_cut_off_for_a_vm_that_was_never_started_on_it() -> None:
    fleet = armed().lost("h1")
    never = replace(fleet.ledger.placements["web"], ran=False)
    moved = replace(never, epoch=2)

    assert fenced(fleet.with_ledger(placements={"web": never})) == []
    assert fenced(fleet.with_ledger(placements={"web": moved})) == ["h1"]


def test_a_host_is_not_cut_off_for_a_vm_that_is_held() -> None:
    fleet = armed().lost("h1").with_ledger(paused=frozenset({WEB}))

    assert fenced(fleet) == []
    assert "held" in reasons(fleet)["host-lost"]


def test_a_device_that_says_off_is_asked_again_though_no_other_host_has_room() -> None:
    """Nothing is switched by that, and its VMs can be recovered as soon as there is room."""
    fleet = bound().lost("h1").in_state("h1", "unreachable", POWER_OFF)

    assert fenced(fleet) == ["h1"]


def test_a_vm_that_is_defined_where_it_goes_has_its_room_already() -> None:
    """Its recovery was cut off before it was started, and what was proven of its host holds no more."""
    fleet = armed().lost("h1").proven("h1").converged()
    where = next(name for name, found in fleet.inventory.hosts.items() if found.domains)
    off = fleet.with_domain(replace(fleet.domain(on=where), state="shutoff", live=None, reason=""), on=where)
    cut_off = replace(off.ledger.placements["web"], ran=False, came_from="h1")
    fleet = off.with_ledger(placements={"web": cut_off}, proofs={}).in_state("h1", "unreachable")

    assert fenced(with_memory(with_memory(fleet, 0, "h2", "h3"), GIB, where)) == ["h1"]

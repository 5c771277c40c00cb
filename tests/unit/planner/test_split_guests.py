"""A VM that libvirt let run on at the source of its move too, with disks of its own, which nobody saw happen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.steps import StopDomain
from reconciler.planner.plan_check import check
from tests.support.fleets import Story
from tests.unit.planner.test_moves import fleet, to_rack_b

VM = "VirtualMachine/web"


def moved(*, shared: bool = False) -> Story:
    """It runs on h2, and its old disk is still on h1."""
    return to_rack_b(fleet(shared=shared)).applied()


def split(*, shared: bool = False) -> Story:
    """Its source, silent until now, runs it still."""
    there = moved(shared=shared)
    return there.with_domain(fleet(shared=shared).domain(), on="h1")


@pytest.mark.parametrize("is_lost", [True, False])
def test_what_ran_on_with_disks_of_its_own_is_left_to_people(is_lost: bool) -> None:
    there = split().lost("h1").returned(split(), "h1") if is_lost else split()

    told = there.unmet()["conflict"]
    assert there.kinds(VM) == []
    assert told.severity == "blocked"
    assert "it was moved to h2, and runs on h1 too, with disks of its own" in told.detail
    assert "virsh destroy web, then virsh undefine --keep-nvram web" in told.hint


def test_it_is_left_alone_too_while_the_host_that_it_was_moved_to_is_silent() -> None:
    there = split().lost("h1").returned(split(), "h1").losing_sight_of("h2")

    assert there.kinds(VM) == []


def test_a_plan_that_forces_it_off_is_refused() -> None:
    there = split()
    stops = split(shared=True).plan()
    assert any(isinstance(action.step, StopDomain) for action in stops.actions)

    assert any(
        "disks of its own" in words for words in check(stops, there.specs, there.inventory, there.ledger, there.policy)
    )


def test_once_people_have_ended_the_one_at_its_source_that_is_cleared_with_its_disk() -> None:
    there = split()
    off = there.with_domain(replace(there.domain(), state="shutoff", live=None))

    after = off.converged()
    assert after.domain("web", "h2").state == "running"
    assert "web" not in after.inventory.hosts["h1"].domains
    assert "prod.web.root.qcow2" not in (after.inventory.hosts["h1"].pools["vms"].volumes or {})


def test_once_people_have_ended_the_one_that_arrived_the_vm_is_at_its_source_with_its_disk() -> None:
    chosen = split().without_domain(on="h2").noticed()
    after = chosen.with_specs(fleet(shared=False).specs.vms["web"], without=[VM]).converged()

    assert chosen.ledger.placements["web"].host == "h1"
    assert after.domain().state == "running"
    assert after.domain().config.mark.epoch == 3  # type: ignore[union-attr]
    assert "prod.web.root.qcow2" in (after.inventory.hosts["h1"].pools["vms"].volumes or {})


def test_on_shared_disks_the_epoch_decides_as_both_write_to_the_same() -> None:
    assert {(action.kind, action.host) for action in split(shared=True).plan().actions} == {
        ("stop-domain", "h1"),
        ("undefine-domain", "h1"),
    }

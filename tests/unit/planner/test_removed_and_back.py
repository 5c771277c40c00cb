"""VMs that come back into the specs: above all that they had, on their newest disks, beside no old copy."""

from __future__ import annotations

from typing import Any

from reconciler.model.ledger import RemovedVm
from reconciler.model.steps import DefineDomain, StopDomain
from tests.support.fleets import Story, story, vm

WEB = "VirtualMachine/web"


def removed(*, shared: bool = False, **spec: Any) -> Story:
    """`web` ran on h1, and its spec is gone."""
    return story(vm(**spec), shared=shared).converged().with_specs(without=[WEB])


def test_a_vm_that_comes_back_has_an_epoch_above_all_that_it_had() -> None:
    gone = removed().converged()

    define = gone.with_specs(vm()).action("define-domain")

    assert isinstance(define.step, DefineDomain)
    assert define.step.config.mark is not None
    assert define.step.config.mark.epoch == 2


def test_an_old_copy_of_a_vm_that_comes_back_goes_before_it_is_made_anew_and_its_guest_is_asked() -> None:
    fleet = removed(shared=True).with_ledger(placements={}, removed={"web": RemovedVm("web", "h2", 2)})
    back = fleet.with_specs(vm())

    assert [(action.kind, action.host) for action in back.plan().actions] == [
        ("stop-domain", "h1"),
        ("undefine-domain", "h1"),
    ]
    assert isinstance(stop := back.action("stop-domain").step, StopDomain)
    assert stop.timeout > 0
    assert back.applied().kinds(WEB) == ["define-domain", "start-domain"]


def test_the_guest_of_an_old_copy_has_as_long_as_its_vm_says() -> None:
    fleet = removed(shared=True).with_ledger(placements={}, removed={"web": RemovedVm("web", "h2", 2)})
    back = fleet.with_specs(vm(shutdown={"timeout": "10m"}))

    assert isinstance(stop := back.action("stop-domain").step, StopDomain)
    assert stop.timeout == 600


def test_an_old_copy_that_comes_back_beside_the_new_one_goes() -> None:
    before = removed(shared=True).with_ledger(placements={}, removed={"web": RemovedVm("web", "h2", 2)})
    back = before.without_domain().with_specs(vm(placement={"hosts": ["h2"]})).converged()

    returned = back.with_domain(before.domain(), on="h1")

    assert [(action.kind, action.host) for action in returned.plan().actions] == [
        ("stop-domain", "h1"),
        ("undefine-domain", "h1"),
    ]


def rebuilt() -> Story:
    """`web` on h2 with a local disk, was rebuilt there and then removed; h1 has an older disk of it."""
    fleet = story(vm(placement={"hosts": ["h2"]})).converged()
    older = fleet.with_pool(fleet.inventory.hosts["h2"].pools["vms"], on="h1")
    return older.with_specs(without=[WEB]).converged()


def test_a_vm_that_comes_back_goes_where_its_newest_disks_are() -> None:
    assert rebuilt().with_specs(vm()).action("define-domain").host == "h2"


def test_a_vm_whose_newest_disks_are_out_of_sight_waits_for_them() -> None:
    back = rebuilt().losing_sight_of("h2").with_specs(vm())

    assert back.plan().empty
    assert "its disks were kept on h2" in back.unmet()["pool-unavailable"].detail


def test_a_vm_whose_newest_disks_were_deleted_waits_for_nothing() -> None:
    gone = story(vm(placement={"hosts": ["h2"]}, deletionPolicy="delete")).converged().with_specs(without=[WEB])
    back = gone.converged().losing_sight_of("h2").with_specs(vm())

    assert back.action("define-domain").host == "h1"


def test_without_a_record_none_of_several_disks_is_taken() -> None:
    back = rebuilt().with_ledger(removed={}).with_specs(vm())

    assert back.plan().empty
    assert "disks of it are on h1 and h2" in back.unmet()["conflict"].detail


def test_which_of_several_disks_is_taken_can_be_said_in_the_spec() -> None:
    back = rebuilt().with_ledger(removed={}).with_specs(vm(placement={"hosts": ["h2"]}))

    assert back.action("define-domain").host == "h2"

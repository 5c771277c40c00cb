"""A ledger that lacks what it must have written is an old copy."""

from __future__ import annotations

from reconciler.ledger.old_copy import is_old_copy
from reconciler.ledger.rebuild import unrecorded_placements
from reconciler.model.ledger import RemovedVm
from tests.support.fleets import FLEET, NOW, Story, mark, story, vm


def running() -> Story:
    """`web` runs on h1."""
    return story(vm(placement={"hosts": ["h1"]}), shared=True).converged()


def is_old(fleet: Story) -> bool:
    unrecorded = unrecorded_placements(fleet.ledger, fleet.inventory, FLEET, NOW)
    return is_old_copy(fleet.ledger, unrecorded, fleet.inventory)


def test_a_ledger_that_knows_all_is_none() -> None:
    assert not is_old(running())


def test_a_vm_that_it_does_not_know_on_a_host_that_it_has_read_says_so() -> None:
    assert is_old(running().with_ledger(placements={}))


def test_so_does_a_higher_epoch_than_the_recorded_one() -> None:
    fleet = running()

    assert is_old(fleet.edited(mark=mark(epoch=2)))


def test_a_new_ledger_has_read_no_host_and_is_none() -> None:
    assert not is_old(running().with_ledger(placements={}, hosts_read=frozenset()))


def test_a_vm_that_people_moved_says_nothing() -> None:
    fleet = running()

    assert not is_old(fleet.with_domain(fleet.domain(), on="h2").without_domain(on="h1"))


def test_what_is_left_of_a_removed_vm_says_nothing() -> None:
    for host in ("h1", "h2"):
        removed = {"web": RemovedVm("web", host, 1, "retain")}

        assert not is_old(running().with_ledger(placements={}, removed=removed))

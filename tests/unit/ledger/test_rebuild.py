"""A lost ledger comes back from the marks on the hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.ledger.rebuild import adopt_marks
from reconciler.ledger.sightings import note_sightings
from reconciler.ledger.store import Ledger
from reconciler.model.domain import DomainState, OwnershipMark
from reconciler.model.health import Incident
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import HostFacts, HostInventory, Inventory, ObservedDomain
from reconciler.model.ledger import Placement
from tests.support.domains import domain_config

FACTS = HostFacts("u", "h", 1 << 34, 8, "x86_64", ("qemu",), 9000000)


def domain(
    vm: str, epoch: int, *, fleet: str = "f", uuid: str | None = None, state: DomainState = "shutoff"
) -> ObservedDomain:
    mark = OwnershipMark(fleet, vm, epoch, "s", "g")
    config = domain_config(vm, uuid=uuid or vm_uuid("f", vm), mark=mark)
    return ObservedDomain(vm, config.uuid, state, persistent=True, config=config, live=None, fingerprint="x")


def inventory(**hosts: list[ObservedDomain]) -> Inventory:
    return Inventory(
        hosts={
            name: HostInventory(name, 0.0, FACTS, {found.name: found for found in domains}, {}, {})
            for name, domains in hosts.items()
        }
    )


def test_placements_come_back_with_the_highest_epoch(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        adopted = adopt_marks(ledger, inventory(h1=[domain("a", 1)], h2=[domain("a", 2)]), "f", 7.0)

        assert adopted == (Placement("a", "h2", 2, 7.0),)
        assert ledger.view().placements == {"a": Placement("a", "h2", 2, 7.0)}


def test_of_equal_epochs_the_running_copy_is_the_placement(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(h1=[domain("a", 1)], h2=[domain("a", 1, state="running")], h3=[domain("a", 1)])

        assert adopt_marks(ledger, found, "f", 0.0)[0].host == "h2"


def test_of_equal_copies_the_first_host_is_the_placement(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert adopt_marks(ledger, inventory(h2=[domain("a", 1)], h1=[domain("a", 1)]), "f", 0.0)[0].host == "h1"


@pytest.mark.parametrize(("state", "adopted"), [("shutoff", 0), ("crashed", 0), ("running", 1)])
def test_what_is_off_is_no_placement_while_it_may_run_on_a_host_that_was_never_seen(
    tmp_path: Path, state: DomainState, adopted: int
) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(h1=[domain("a", 1, state=state)])

        assert len(adopt_marks(ledger, found, "f", 0.0, never_seen={"h2"})) == adopted


def test_known_placements_stand(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 2, 0.0)

        assert adopt_marks(ledger, inventory(h1=[], h2=[domain("a", 1)]), "f", 1.0) == ()
        assert ledger.placement("a") == Placement("a", "h1", 2, 0.0)


def test_ledger_out_of_an_old_backup_learns_the_newer_epoch(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 2, 0.0)

        adopt_marks(ledger, inventory(h2=[domain("a", 3)]), "f", 1.0)

        assert ledger.placement("a") == Placement("a", "h2", 3, 1.0)


def test_a_higher_epoch_is_not_believed_while_another_copy_runs(tmp_path: Path) -> None:
    """The VM began anew with a new ledger, and a host of its former life came back: what runs must not be killed."""
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0)
        found = inventory(h1=[domain("a", 1, state="running")], h2=[domain("a", 3)])

        assert adopt_marks(ledger, found, "f", 1.0) == ()


def test_with_a_new_ledger_the_copy_that_runs_is_believed_rather_than_one_of_a_higher_epoch_that_is_off(
    tmp_path: Path,
) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(h1=[domain("a", 1, state="running")], h2=[domain("a", 3)])

        assert adopt_marks(ledger, found, "f", 1.0) == (Placement("a", "h1", 1, 1.0),)


@pytest.mark.parametrize(("host", "epoch"), [("h1", 1), ("h1", 2), ("h2", 1)])
def test_what_is_older_than_a_vms_removal_is_not_the_vm(tmp_path: Path, host: str, epoch: int) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h2", 2, 0.0)
        ledger.forget_placement("a")

        assert adopt_marks(ledger, inventory(**{host: [domain("a", epoch)]}), "f", 1.0) == ()


@pytest.mark.parametrize(("host", "epoch"), [("h2", 2), ("h1", 3)])
def test_the_very_copy_that_was_removed_or_a_newer_one_is_the_vm_again(tmp_path: Path, host: str, epoch: int) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h2", 2, 0.0)
        ledger.forget_placement("a")

        adopted = adopt_marks(ledger, inventory(**{host: [domain("a", epoch)]}), "f", 1.0)

        assert adopted == (Placement("a", host, epoch, 1.0),)


def test_domains_of_others_and_clones_are_not_adopted(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(
            h1=[domain("a", 1, fleet="other"), domain("b", 1, uuid="00000000-0000-4000-8000-000000000000")]
        )

        assert adopt_marks(ledger, found, "f", 0.0) == ()


def test_vm_that_was_moved_by_hand_is_where_it_is_now_and_an_older_copy_loses(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0)

        adopt_marks(ledger, inventory(h1=[], h2=[domain("a", 1, state="running")]), "f", 5.0)

        assert ledger.placement("a") == Placement("a", "h2", 2, 5.0, marked_epoch=1)


def moved_to_h2(ledger: Ledger) -> None:
    """By hand, from h1; its mark is still that of before."""
    ledger.record_placement("a", "h1", 1, 0.0)
    adopt_marks(ledger, inventory(h1=[], h2=[domain("a", 1, state="running")]), "f", 5.0)


@pytest.mark.parametrize("state", ["running", "shutoff"])
@pytest.mark.parametrize("host", ["h1", "h3"])
def test_vm_that_was_moved_again_with_the_same_mark_is_where_it_is_now(
    tmp_path: Path, host: str, state: DomainState
) -> None:
    with Ledger(tmp_path) as ledger:
        moved_to_h2(ledger)

        adopt_marks(ledger, inventory(h2=[], **{host: [domain("a", 1, state=state)]}), "f", 9.0)

        assert ledger.placement("a") == Placement("a", host, 3, 9.0, marked_epoch=1)


def test_copy_that_a_lost_host_brings_back_is_not_the_vm_that_was_moved_from_it(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        moved_to_h2(ledger)
        ledger.open_incident(Incident("i1", "h1", 6.0, None))

        assert adopt_marks(ledger, inventory(h1=[domain("a", 1)], h2=[]), "f", 9.0) == ()


def test_copy_left_behind_is_not_the_vm_once_that_has_a_mark_of_its_own(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        moved_to_h2(ledger)
        note_sightings(ledger, ledger.view(), inventory(h2=[domain("a", 2)]), "f")

        assert adopt_marks(ledger, inventory(h1=[domain("a", 1)], h2=[]), "f", 9.0) == ()


@pytest.mark.parametrize("state", ["shutoff", "paused"])
def test_vm_that_does_not_run_in_sight_may_still_run_on_its_unread_host(tmp_path: Path, state: DomainState) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0)

        assert adopt_marks(ledger, inventory(h2=[domain("a", 1, state=state)]), "f", 5.0) == ()


def test_vm_that_runs_in_sight_was_moved_from_a_host_that_is_not_read(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0)

        adopt_marks(ledger, inventory(h2=[domain("a", 1, state="running")]), "f", 5.0)

        assert ledger.placement("a") == Placement("a", "h2", 2, 5.0, marked_epoch=1)


def test_vm_is_not_taken_for_moved_while_the_host_that_it_was_on_has_a_copy(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0)
        unmarked = replace(domain("a", 1), config=replace(domain("a", 1).config, mark=None))

        for left in (domain("a", 1), unmarked):
            assert adopt_marks(ledger, inventory(h1=[left], h2=[domain("a", 1)]), "f", 5.0) == ()


def test_vm_is_not_taken_for_moved_where_it_has_two_copies(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0)

        assert adopt_marks(ledger, inventory(h1=[], h2=[domain("a", 1)], h3=[domain("a", 1)]), "f", 5.0) == ()


def test_nothing_is_learned_of_a_vm_that_is_being_worked_on(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        found = inventory(h1=[domain("a", 1)])

        assert adopt_marks(ledger, found, "f", 5.0, in_flight=frozenset({"VirtualMachine/a"})) == ()


def test_vm_that_was_found_counts_as_having_run(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("b", "h1", 1, 0.0, ran=False)
        adopt_marks(ledger, inventory(h1=[domain("a", 1)]), "f", 0.0)

        assert {vm: placement.ran for vm, placement in ledger.view().placements.items()} == {"a": True, "b": False}


def test_vm_counts_as_having_run_from_its_start_until_it_is_placed_anew(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("a", "h1", 1, 0.0, ran=False)
        ledger.note_start("a")
        started = ledger.placement("a")
        ledger.record_placement("a", "h1", 1, 0.0, ran=False)

        assert started is not None
        assert started.ran
        assert ledger.placement("a") == Placement("a", "h1", 1, 0.0, ran=False)

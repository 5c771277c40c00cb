"""What is seen of placed VMs is remembered for when they can't be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.ledger.sightings import note_sightings
from reconciler.ledger.store import Ledger
from reconciler.model.inventory import Inventory
from tests.support.fleets import FLEET, Story, story, vm


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state") as opened:
        yield opened


def running() -> Story:
    return story(vm(), hosts=2, shared=True).converged()


def note(ledger: Ledger, inventory: Inventory) -> bool:
    return note_sightings(ledger, ledger.view(), inventory, FLEET)


def test_a_recovered_vm_that_is_seen_to_run_has_left_its_former_host(ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 2, 0.0, came_from="h2")

    assert note(ledger, running().inventory)
    placement = ledger.placement("web")
    assert placement is not None
    assert placement.came_from is None


def test_one_that_is_off_has_not(ledger: Ledger) -> None:
    fleet = running()
    ledger.record_placement("web", "h1", 2, 0.0, came_from="h2")
    off = fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None))

    assert not note(ledger, off.inventory)
    placement = ledger.placement("web")
    assert placement is not None
    assert placement.came_from == "h2"


def test_whether_its_host_starts_it_is_remembered_as_last_seen(ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 1, 0.0)

    assert note(ledger, running().edited(autostart=True).inventory)
    placement = ledger.placement("web")
    assert placement is not None
    assert placement.autostart


def test_what_is_known_already_is_not_written_again(ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 1, 0.0)

    assert not note(ledger, running().inventory)

"""Migrations on record: one a VM, and settled in one go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.errors import PreconditionFailed
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import DoomedVolume, Migration, MigrationProgress
from reconciler.model.migration import DiskCopy, MigrationRules
from reconciler.model.steps import MigrateDomain

DISK: Final = DiskCopy("vda", "local", "f.web.root.qcow2", "qcow2", 1 << 30, "/srv/local/f.web.root.qcow2", "f.base-1")
STEP: Final = MigrateDomain(
    domain="web",
    uuid="u",
    source="h1",
    target="h2",
    epoch=2,
    peer_uri="qemu+tls://h2/system",
    rules=MigrationRules(deadline=60.0, stall_after=30.0, bandwidth=1 << 20),
    address="10.0.0.12",
    disks=(DISK,),
    paths=(("vdz", "/srv/seeds/f.web.seed.iso"),),
)
MOVE: Final = Migration("web", 1000.0, STEP, "drain")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path)
    made.record_placement("web", "h1", 1, 1.0)
    made.begin_volume(DISK.pool, DISK.volume, "h2")
    made.begin_migration(MOVE)
    yield made
    made.close()


def test_what_is_on_record_is_the_migration_to_the_last_value(ledger: Ledger) -> None:
    assert ledger.migration("web") == MOVE
    assert ledger.view().migrations == {"web": MOVE}


def test_a_second_migration_of_a_vm_is_refused(ledger: Ledger) -> None:
    with pytest.raises(PreconditionFailed, match="on its way from h1 to h2"):
        ledger.begin_migration(MOVE)


def test_how_far_it_is_is_told(ledger: Ledger) -> None:
    progress = MigrationProgress(10, 30, 25, 1001.0, 0.3)

    ledger.note_migration_progress("web", progress)

    known = ledger.migration("web")
    assert known is not None
    assert known.progress == progress


def test_a_vm_that_has_arrived_is_placed_there_and_has_left_its_disks(ledger: Ledger) -> None:
    ledger.note_arrived(MOVE, 1010.0)

    view = ledger.view()
    placement = view.placements["web"]
    assert (placement.host, placement.epoch, placement.since) == ("h2", 2, 1010.0)
    assert view.migrations == {}
    assert view.intents == frozenset()
    assert view.left_behind == {DoomedVolume("web", "local", DISK.volume, "h1")}


def test_a_vm_that_was_off_and_is_to_be_on_has_yet_to_run_where_it_has_come_to(ledger: Ledger) -> None:
    ledger.note_arrived(replace(MOVE, step=replace(STEP, cold=True, starts=True)), 1010.0)

    assert not ledger.view().placements["web"].ran


def test_a_vm_that_was_off_and_stays_so_has_run_as_before_and_may_be_where_it_was_recovered_from(
    ledger: Ledger,
) -> None:
    ledger.record_placement("web", "h1", 2, 1000.0, came_from="h9")

    ledger.note_arrived(replace(MOVE, step=replace(STEP, cold=True, epoch=3)), 1010.0)

    placement = ledger.view().placements["web"]
    assert (placement.host, placement.ran, placement.came_from) == ("h2", True, "h9")


def test_a_move_that_took_too_long_is_remembered_until_the_vm_is_elsewhere(ledger: Ledger) -> None:
    ledger.note_stayed(MOVE, outran_at=1005.0)
    before = ledger.placement("web")
    ledger.begin_migration(MOVE)
    ledger.note_arrived(MOVE, 1010.0)
    after = ledger.placement("web")

    assert before is not None
    assert after is not None
    assert (before.outran_at, after.outran_at) == (1005.0, None)


def test_a_vm_that_stayed_is_where_it_was_and_what_was_made_elsewhere_is_unfinished_still(ledger: Ledger) -> None:
    ledger.note_stayed(MOVE)

    view = ledger.view()
    assert (view.placements["web"].host, view.placements["web"].epoch) == ("h1", 1)
    assert view.migrations == {}
    assert ledger.has_volume_intent("local", DISK.volume, "h2")


def test_of_a_target_that_was_not_asked_what_comes_back_is_outdated(ledger: Ledger) -> None:
    ledger.note_stayed(MOVE, is_target_unseen=True)

    placement = ledger.view().placements["web"]
    assert (placement.host, placement.epoch, placement.marked_epoch) == ("h1", 3, 1)


def test_a_vm_that_is_placed_anew_is_not_on_its_way_any_more(ledger: Ledger) -> None:
    ledger.record_placement("web", "h3", 3, 1020.0, came_from="h1")

    assert ledger.migration("web") is None


def test_a_disk_that_is_deleted_was_left_behind_no_more(ledger: Ledger) -> None:
    ledger.note_arrived(MOVE, 1010.0)

    ledger.finish_volume("local", DISK.volume, "h1")

    assert ledger.view().left_behind == frozenset()

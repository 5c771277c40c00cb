"""What is on record of a VM goes with it to its new name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as made:
        made.record_placement("web", "h1", 3, 10.0)
        yield made


def test_placement_pauses_and_disks_go_along(ledger: Ledger) -> None:
    ledger.pause("VirtualMachine/web")
    ledger.finish_restore(None, {("web", "root"): "default.web.root.r1.qcow2"})

    ledger.rename_vm("web", "shop", "h1")

    view = ledger.view()
    assert {name: (one.host, one.epoch) for name, one in view.placements.items()} == {"shop": ("h1", 3)}
    assert view.disk_volumes == {("shop", "root"): "default.web.root.r1.qcow2"}
    assert view.paused == {"VirtualMachine/shop"}


def test_whatever_has_the_old_name_still_is_an_old_copy(ledger: Ledger) -> None:
    ledger.rename_vm("web", "shop", "h1")

    old = ledger.view().removed["web"]
    assert [old.outdates(host, epoch) for host, epoch in (("h1", 3), ("h2", 3), ("h2", 4))] == [True, True, False]


def test_one_that_is_elsewhere_by_now_is_left_as_it_is(ledger: Ledger) -> None:
    ledger.rename_vm("web", "shop", "h2")

    assert {*ledger.view().placements} == {"web"}


def test_a_second_time_changes_nothing(ledger: Ledger) -> None:
    ledger.rename_vm("web", "shop", "h1")
    before = ledger.view()

    ledger.rename_vm("web", "shop", "h1")

    assert ledger.view() == before

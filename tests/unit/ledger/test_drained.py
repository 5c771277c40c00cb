"""Where a VM was moved away from when its host was emptied is remembered until it goes elsewhere for another reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.ledger.store import Ledger
from reconciler.model.ledger import Migration
from reconciler.model.migration import MigrationRules
from reconciler.model.plan import Why
from reconciler.model.steps import MigrateDomain

_RULES = MigrationRules(deadline=60.0, stall_after=10.0)


def _moved(ledger: Ledger, source: str, target: str, epoch: int, why: Why) -> None:
    move = Migration("web", 0.0, MigrateDomain("web", "u", source, target, epoch, "qemu+tcp://x/system", _RULES), why)
    ledger.begin_migration(move)
    ledger.note_arrived(move, 1.0)


@pytest.mark.parametrize(
    ("reasons", "home"),
    [
        (("drain",), "h1"),
        (("drain", "drain"), "h1"),
        (("balance",), None),
        (("drain", "balance"), None),
        (("balance", "drain"), "h2"),
        (("drain", "failback"), None),
    ],
)
def test_the_first_host_of_an_unbroken_row_of_drains_is_where_it_may_be_wanted_back(
    tmp_path: Path, reasons: tuple[Why, ...], home: str | None
) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)

        for number, why in enumerate(reasons, start=1):
            _moved(ledger, f"h{number}", f"h{number + 1}", number + 1, why)

        placement = ledger.placement("web")
        assert placement is not None
        assert placement.drained_from == home


def test_a_vm_that_is_placed_anew_has_no_host_to_return_to(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)
        _moved(ledger, "h1", "h2", 2, "drain")

        ledger.record_placement("web", "h3", 3, 2.0)

        placement = ledger.placement("web")
        assert placement is not None
        assert placement.drained_from is None

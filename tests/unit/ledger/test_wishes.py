"""What the specs say about disks is on record before the spec is gone."""

from __future__ import annotations

from pathlib import Path

from reconciler.ledger.store import Ledger
from reconciler.ledger.wishes import unrecorded_policies
from tests.support.fleets import desired, vm


def test_only_what_is_new_about_placed_vms_is_to_be_written_down(tmp_path: Path) -> None:
    specs = desired(vm("same"), vm("changed", deletionPolicy="delete"), vm("new"), vm("nowhere"))
    with Ledger(tmp_path) as ledger:
        for name in ("same", "changed", "new", "gone"):
            ledger.record_placement(name, "h1", 1, 0.0)
        ledger.note_deletion_policies({"same": "retain", "changed": "retain", "gone": "delete"})

        assert unrecorded_policies(ledger.view(), specs) == {"changed": "delete", "new": "retain"}

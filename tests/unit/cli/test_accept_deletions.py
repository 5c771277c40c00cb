"""`accept-deletions`: for the very deletions that are held, and for no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from msgspec.structs import replace

from reconciler.ledger.store import Ledger
from reconciler.model.mass_deletion import Deletion, MassDeletion
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession, doors

pytestmark = pytest.mark.usefixtures("_own_environment")

HELD = MassDeletion((Deletion("db", "removed with its disks"), Deletion("web", "removed")), 1, 5)


def call(fingerprint: str, specs: Path, held: MassDeletion | None = HELD) -> Result:
    seen = replace(EMPTY, plan=replace(EMPTY.plan, mass_deletion=held))
    return invoke("accept-deletions", fingerprint, str(specs), "--yes", onto=doors(FakeSession([seen])))


def accepted(tmp_path: Path) -> frozenset[Deletion]:
    with Ledger(tmp_path / "state") as ledger:
        return ledger.view().accepted_deletions


def test_what_is_held_is_listed_and_accepted(specs: Path, tmp_path: Path) -> None:
    result = call(HELD.fingerprint, specs)

    assert result.exit_code == 0
    assert "VirtualMachine/db: removed with its disks" in result.stderr
    assert accepted(tmp_path) == set(HELD.deletions)
    with Ledger(tmp_path / "state") as ledger:
        assert [event.event for event in ledger.events("fleet")] == ["deletions-accepted"]


def test_the_fingerprint_of_another_set_is_refused_with_the_one_of_now(specs: Path, tmp_path: Path) -> None:
    result = call("0123456789", specs)

    assert result.exit_code == 1
    assert f"what is held is {HELD.fingerprint} now" in result.stderr
    assert accepted(tmp_path) == frozenset()


def test_where_nothing_is_held_there_is_nothing_to_accept(specs: Path, tmp_path: Path) -> None:
    result = call(HELD.fingerprint, specs, None)

    assert result.exit_code == 1
    assert "no deletions are held" in result.stderr
    assert accepted(tmp_path) == frozenset()

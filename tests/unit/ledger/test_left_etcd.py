"""A controller whose ledger is in etcd does not begin another one because its configuration forgot of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config import Settings
from reconciler.daemon.opening import open_session
from reconciler.errors import LedgerConflict
from reconciler.ledger.database import LEDGER_FILE
from reconciler.ledger.left_etcd import left_etcd, refuse_left_etcd
from reconciler.ledger.own_file import MOVED
from reconciler.model.ledger_store import POSITION_FILE


@pytest.mark.parametrize("mark", [POSITION_FILE, f"{LEDGER_FILE}{MOVED}"])
def test_who_would_act_is_refused_and_told_the_way_out(tmp_path: Path, mark: str) -> None:
    (tmp_path / mark).touch()

    with (
        pytest.raises(LedgerConflict, match=f"is in etcd, as {tmp_path}/{mark} tell") as refused,
        open_session(Settings(specs=tmp_path, state_dir=tmp_path), writer="run"),
    ):
        pass

    assert "reconciler leader --export" in refused.value.hint
    assert {file.name for file in tmp_path.iterdir()} == {mark}


def test_who_looks_is_told(tmp_path: Path) -> None:
    (tmp_path / POSITION_FILE).touch()

    with open_session(Settings(specs=tmp_path, state_dir=tmp_path), writer=None) as session:
        problem = session.look().status.problems[-1]

    assert problem == left_etcd(tmp_path)[0]
    assert "names no etcd" in problem


def test_one_that_never_had_an_etcd_is_as_ever(tmp_path: Path) -> None:
    refuse_left_etcd(tmp_path / "state")

    assert left_etcd(tmp_path / "state") == ()

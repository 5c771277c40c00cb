"""Ledgers of other versions: an older one is copied before it is migrated, a newer one is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.errors import LedgerError
from reconciler.ledger.database import LEDGER_FILE, migrations
from reconciler.ledger.store import Ledger


def _old_ledger(folder: Path) -> None:
    """Of the first schema, with one VM placed."""
    number, script = migrations()[0]
    with closing(sqlite3.connect(folder / LEDGER_FILE)) as connection:
        connection.executescript(f"{script}\nPRAGMA application_id = 0x72636e6c; PRAGMA user_version = {number};")
        connection.execute("INSERT INTO placement (vm, host, epoch, since) VALUES ('web', 'h1', 3, 5.0)")
        connection.commit()


def test_newer_ledger_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / LEDGER_FILE) as connection:
        connection.execute(f"PRAGMA user_version = {migrations()[-1][0] + 1}")
    connection.close()

    with pytest.raises(LedgerError, match="newer version"):
        Ledger(tmp_path)


def test_a_newer_ledger_names_the_copy_of_before_the_upgrade(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    newest = migrations()[-1][0]
    with sqlite3.connect(tmp_path / LEDGER_FILE) as connection:
        connection.execute(f"PRAGMA user_version = {newest + 1}")
    connection.close()
    copy = tmp_path / f"{LEDGER_FILE}.schema-{newest}"
    copy.touch()

    with pytest.raises(LedgerError, match=f"mv {copy} {tmp_path / LEDGER_FILE}"):
        Ledger(tmp_path)


def test_an_older_ledger_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    _old_ledger(tmp_path)
    (tmp_path / f"{LEDGER_FILE}.schema-0").touch()

    with Ledger(tmp_path) as ledger:
        assert ledger.view().placements["web"].host == "h1"

    (copy,) = tmp_path.glob(f"{LEDGER_FILE}.schema-*")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT vm, host FROM placement").fetchall() == [("web", "h1")]
        assert connection.execute("PRAGMA user_version").fetchone() == (migrations()[0][0],)
    assert copy.stat().st_mode & 0o777 == 0o600


def test_what_can_not_be_copied_is_not_migrated(tmp_path: Path) -> None:
    _old_ledger(tmp_path)
    (tmp_path / f"{LEDGER_FILE}.schema-{migrations()[0][0]}").mkdir()

    with pytest.raises(LedgerError):
        Ledger(tmp_path)

    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (migrations()[0][0],)


def test_an_older_ledger_can_be_looked_at_before_it_is_migrated(tmp_path: Path) -> None:
    _old_ledger(tmp_path)

    with Ledger.open_readonly(tmp_path) as reader:
        assert reader.view().placements["web"].epoch == 3

    assert [path.name for path in tmp_path.glob(f"{LEDGER_FILE}.*")] == []
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (migrations()[0][0],)

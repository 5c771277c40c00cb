"""A ledger's file on the machine of a controller that shares a ledger in etcd: moved there, or in conflict with it."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.errors import LedgerConflict
from reconciler.ledger.database import LEDGER_FILE, explained, open_for_reading, open_in_memory
from reconciler.ledger.row_log import RowLog, read_key
from reconciler.ledger.stored import rows_of, schema_of
from reconciler.model.ledger_store import POSITION_FILE
from reconciler.private_files import open_private

if TYPE_CHECKING:
    from reconciler.leadership.keys import Keys
    from reconciler.leadership.store import Reading, Store

MOVED: Final = ".moved-to-etcd"
"""What is added to the name of a ledger's file once etcd has all of it."""
_BESIDE: Final = ("-wal", "-shm")
"""SQLite's own files beside a database."""
_COUNTED: Final = {"placement": "VMs", "paused": "held", "fence_proof": "proofs of death"}


class OwnFile:
    """The file of one state directory, which may not be there."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / LEDGER_FILE

    @property
    def is_there(self) -> bool:
        return self.path.exists()

    def copy(self) -> sqlite3.Connection:
        """In memory, of the newest schema; raises LedgerError."""
        with closing(open_for_reading(self.path)) as source:
            return open_in_memory(0, source.backup)

    def put_away(self) -> None:
        """Once etcd has all of it: nobody takes it for the ledger any more, and its content stays whole."""
        _rename(self.path, f"{self.path}{MOVED}")

    def put_back(self, ledger: sqlite3.Connection) -> None:
        """Make `ledger` the file, for a controller that leaves etcd: the marks of that go last."""
        aside = self.path.with_suffix(".leaving-etcd")
        with explained(self.path):
            aside.unlink(missing_ok=True)
            os.close(open_private(aside))
            with closing(sqlite3.connect(aside)) as target:
                ledger.backup(target)
            aside.replace(self.path)
            for mark in marks_of_etcd(self.path.parent):
                _rename(mark, f"{mark}.left")

    def refuse_other(self, reading: Reading, keys: Keys) -> None:
        """Raise LedgerConflict where it is there, and is not what etcd holds.

        It is where a controller was killed between moving it into etcd and putting it away.
        """
        if not self.is_there or not schema_of(reading, keys):
            return
        with closing(self.copy()) as connection:
            own = {key.text(): text for key, text in RowLog(connection).rows()}
        stored = rows_of(reading, keys)
        if own != stored:
            raise LedgerConflict(
                f"there are two ledgers of this fleet: {self.path} ({_size(own)}), and that in etcd ({_size(stored)});"
                " nothing is changed from here, and the file is not read",
                hint=f"if etcd's is right: mv {self.path} {self.path}.unused; if the file is: stop every controller,"
                f" have etcdctl del --prefix {keys.root}, and start this one first",
            )


def refuse_other_ledger(state_dir: Path, store: Store, keys: Keys) -> None:
    """As OwnFile.refuse_other, of etcd as it is now, which is only asked where there is such a file."""
    own = OwnFile(state_dir)
    if own.is_there:
        own.refuse_other(store.read(keys.root), keys)


def _rename(file: Path, name: str) -> None:
    """With what SQLite has beside it, if it is a database."""
    for suffix in _BESIDE:
        beside = Path(f"{file}{suffix}")
        if beside.exists():
            beside.replace(f"{name}{suffix}")
    file.replace(name)


def marks_of_etcd(state_dir: Path) -> tuple[Path, ...]:
    """What tells that the ledger of this controller is in etcd; none where it is not."""
    marks = (state_dir / POSITION_FILE, state_dir / f"{LEDGER_FILE}{MOVED}")
    return tuple(mark for mark in marks if mark.exists())


def _size(rows: Iterable[str]) -> str:
    """`3 VMs, 1 held, 0 proofs of death`."""
    tables = Counter(read_key(row).table for row in rows)
    return ", ".join(f"{tables[table]} {words}" for table, words in _COUNTED.items())

"""The ledger in etcd: what is written goes there first, and a leader works on a copy in memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from reconciler.errors import LedgerError
from reconciler.leadership.keys import Keys
from reconciler.leadership.lead import Lead
from reconciler.leadership.store import Change, Position, Reading, Store
from reconciler.ledger.controller_id import controller_of
from reconciler.ledger.database import migrations, open_in_memory
from reconciler.ledger.led_specs import led_from_here
from reconciler.ledger.ledger_view import read_view
from reconciler.ledger.own_file import OwnFile
from reconciler.ledger.row_log import RowKey, RowLog, put_row, read_key
from reconciler.ledger.stored import rows_of, schema_of
from reconciler.model.ledger import LedgerView


class Mirror(Protocol):
    """What a ledger writes through."""

    def open(self) -> sqlite3.Connection:
        """A working copy."""
        ...

    def renewed(self) -> sqlite3.Connection | None:
        """A newer copy, where others may have written; None where this is the newest."""
        ...

    def write(self, *, durable: bool) -> None:
        """Called within a transaction that is about to be committed; what it raises rolls that back."""
        ...

    def flush(self) -> None:
        """Pass on what may wait."""
        ...


class ReadCopy:
    """Implements Mirror for who only looks: etcd as of one instant."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._position: Position | None = None

    def open(self) -> sqlite3.Connection:
        reading = self._store.read(self._keys.root)
        connection, _ = load(reading, self._keys)
        self._position = reading.position
        return connection

    def renewed(self) -> sqlite3.Connection | None:
        """A small question first: most often nothing was written meanwhile."""
        return None if self._store.read(self._keys.leader).position == self._position else self.open()

    def write(self, *, durable: bool) -> None:  # noqa: ARG002  # neither is
        raise LedgerError("the ledger was opened for looking only", hint="open it as the leader")

    def flush(self) -> None:
        """Nothing waits."""


class Replica:
    """Implements Mirror for the leader.

    Every durable transaction is in etcd before it is committed here, hence before anything is done for it: as one
    change, unless it has more than a hundred rows; none that long has to be whole. What need not be durable goes with
    the next that is, or with `flush`. Where etcd did not answer, its rows are put there again by the next change.
    """

    def __init__(self, lead: Lead, store: Store, keys: Keys, state_dir: Path) -> None:
        self._lead = lead
        self._store = store
        self._keys = keys
        self._file = OwnFile(state_dir)
        self._waiting: dict[RowKey, None] = {}

    def open(self) -> sqlite3.Connection:
        """Load what the last leader left; the file of a controller that was alone becomes the first ledger in etcd.

        Raises LedgerConflict where there is such a file, and another ledger in etcd.
        """
        reading = self._store.read(self._keys.root)
        self._file.refuse_other(reading, self._keys)
        connection, version = load(reading, self._keys)
        if version == 0 and self._file.is_there:
            connection.close()
            connection = self._file.copy()
            led_from_here(connection, controller_of(self._file.path.parent, self._lead.leader.name))
        self._log = RowLog(connection)
        if version != migrations()[-1][0]:
            self._put_all(reading)
        if self._file.is_there:
            self._file.put_away()
        return connection

    def _put_all(self, reading: Reading) -> None:
        wanted = {key.text(): text for key, text in self._log.rows()}
        old = dict.fromkeys(rows_of(reading, self._keys).keys() - wanted.keys())
        rows = self._keys.rows
        self._lead.change([Change(f"{rows}{key}", text) for key, text in (*sorted(old.items()), *wanted.items())])
        # Last: until it is there, the next leader begins again.
        self._lead.change([Change(self._keys.schema, str(migrations()[-1][0]))])

    def renewed(self) -> sqlite3.Connection | None:
        """Nobody else writes."""
        return None

    def write(self, *, durable: bool) -> None:
        touched = dict.fromkeys(self._log.take())
        if not durable:
            self._lead.check()
            self._waiting |= touched
            return
        waiting, self._waiting = touched | self._waiting, touched | self._waiting
        self._put(waiting)

    def flush(self) -> None:
        if self._waiting:
            self._put(self._waiting)

    def _put(self, rows: dict[RowKey, None]) -> None:
        """Until etcd has confirmed them they stay among those that wait."""
        if rows:
            self._lead.change([Change(f"{self._keys.rows}{key.text()}", self._log.row(key)) for key in rows])
        else:
            self._lead.check()
        self._waiting = {}


def load(reading: Reading, keys: Keys) -> tuple[sqlite3.Connection, int]:
    """The ledger that etcd holds, in memory and of the newest schema, and the schema that it is of in etcd; 0 for none.

    Raises LedgerError for one that a newer version wrote.
    """
    version = schema_of(reading, keys)
    newest = migrations()[-1][0]
    if version > newest:
        raise LedgerError(
            f"the ledger in etcd was written by a newer version (schema {version}, this one knows {newest})",
            hint="run the newer version here too; nothing was changed",
        )

    def fill(connection: sqlite3.Connection) -> None:
        for key, row in rows_of(reading, keys).items() if version else ():
            put_row(connection, read_key(key).table, row)

    return open_in_memory(version or newest, fill), version


def view_of(reading: Reading, keys: Keys) -> LedgerView:
    """What a plan needs of the ledger that etcd holds."""
    connection, _ = load(reading, keys)
    with closing(connection):
        return read_view(connection)

"""The file behind the ledger: open for writing by one controller, or for reading beside it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from reconciler.errors import LedgerError
from reconciler.ledger.database import LEDGER_FILE, explained, open_for_reading, open_for_writing, schema_version
from reconciler.ledger.state_directory import check_state_directory, prepare_state_directory

if TYPE_CHECKING:
    from reconciler.ledger.replica import Mirror


class LedgerFile:
    """The database of one state directory, one transaction at a time; safe to use from several threads.

    With a `mirror` the database is its working copy, and what is written goes through it.
    """

    def __init__(self, state_dir: Path, *, readonly: bool = False, mirror: Mirror | None = None) -> None:
        self._path = state_dir / LEDGER_FILE
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._mirror = mirror
        if mirror is not None:
            with explained(self._path):
                self._connection = mirror.open()
        elif not readonly:
            prepare_state_directory(state_dir)
            self._connection = open_for_writing(self._path)
        elif self._is_there():
            check_state_directory(state_dir)
            self._connection = open_for_reading(self._path)

    def _is_there(self) -> bool:
        # `exists` raises where the state directory is another user's.
        with explained(self._path):
            return self._path.exists()

    @classmethod
    def open_readonly(cls, state_dir: Path) -> Self:
        """Open for reading beside a running controller; a ledger that is not there yet reads as an empty one."""
        return cls(state_dir, readonly=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; further use raises LedgerError or reads as empty."""
        with self._lock, explained(self._path):
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One instant of the ledger; None where there is none yet."""
        with self._lock, explained(self._path):
            if self._connection is None or schema_version(self._connection) == 0:
                yield None  # not there yet, or its maker was killed before the first migration
                return
            with _transaction(self._connection, "BEGIN"):
                yield self._connection

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing of what the block writes; `durable` outlives a power cut of the controller too."""
        with self._lock, explained(self._path):
            if self._connection is None:
                raise LedgerError(f"ledger {self._path} is not open for writing", hint="open it as the controller")
            # FULL syncs the write-ahead log at each commit: an intent outlives even a power cut of the controller.
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with _transaction(self._connection, "BEGIN IMMEDIATE"):
                yield self._connection
                if self._mirror is not None:
                    self._mirror.write(durable=durable)

    def size(self) -> int | None:
        """Bytes of the database and what is yet to be written into it; None where there is none."""
        with self._reading() as connection:
            if connection is None:
                return None
            pages, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
            log = self._path.with_name(f"{self._path.name}-wal")
            return int(pages * page) + (log.stat().st_size if self._mirror is None and log.exists() else 0)

    def refresh(self) -> None:
        """Look anew, where this is a copy of what others write."""
        with self._lock:
            renewed = self._mirror.renewed() if self._mirror is not None else None
            if renewed is not None and self._connection is not None:
                self._connection.close()
                self._connection = renewed

    def flush(self) -> None:
        """Have what is written for long in etcd, where that holds the ledger: history may wait there for a while."""
        with self._lock:
            if self._mirror is not None:
                self._mirror.flush()


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise

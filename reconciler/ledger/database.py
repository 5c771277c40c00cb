"""The SQLite file: opened carefully, brought to the newest schema, its errors put into words."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from reconciler.errors import LedgerError, LedgerForeign
from reconciler.ledger.old_schema import back_up, way_back
from reconciler.ledger.state_directory import next_step
from reconciler.private_files import open_private

LEDGER_FILE: Final = "ledger.sqlite3"
_APPLICATION_ID: Final = 0x72636E6C  # "rcnl": another program's SQLite file is never taken for a ledger
_BUSY_SECONDS: Final = 10.0
_MIGRATION: Final = re.compile(r"(\d{4})_\w+\.sql")


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """Number and SQL of every migration, in order."""
    folder = files("reconciler.ledger") / "migrations"
    found = ((_MIGRATION.fullmatch(entry.name), entry) for entry in folder.iterdir())
    return tuple(sorted((int(match[1]), entry.read_text("utf-8")) for match, entry in found if match))


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The ledger at `path`, made where it is missing, on the newest schema.

    Raises LedgerError for a file that is damaged, foreign, newer than this program, or can't be written.
    """
    with explained(path):
        _create_private(path)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _check_identity(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _check_soundness(connection, path)
            if 0 < schema_version(connection) < migrations()[-1][0]:
                back_up(connection, path)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The existing ledger at `path`, beside whoever writes it; raises LedgerError as `open_for_writing` does.

    One of an older schema is read as a copy on the newest: looking must work before the upgrade is begun.
    """
    with explained(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _check_identity(connection, path)
            if 0 < schema_version(connection) < migrations()[-1][0]:
                return _migrated_copy(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _migrated_copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    with closing(connection):
        return open_in_memory(0, connection.backup)


def open_in_memory(version: int, fill: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """A ledger in memory, of schema `version` when `fill` is called with it, and of the newest afterwards."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _migrate(connection, version)
    fill(connection)
    _migrate(connection)
    return connection


def schema_version(connection: sqlite3.Connection) -> int:
    """Number of the last migration that was applied; 0 for a file that has none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say about `path` into LedgerError with a next step."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ledger_error(path, error) from error
    except OSError as error:
        raise LedgerError(
            f"ledger {path} can't be opened: {error.strerror}",
            hint=next_step(error, path.parent),
        ) from error


def _create_private(path: Path) -> None:
    # SQLite gives its -wal and -shm files the mode of the main file, so this settles all three.
    os.close(open_private(path))


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    version = schema_version(connection)
    known = migrations()[-1][0]
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if version and application != _APPLICATION_ID:
        raise LedgerForeign(
            f"{path} is a SQLite file of another program",
            hint="name another state directory with --state-dir",
        )
    if version > known:
        raise LedgerForeign(
            f"ledger {path} was written by a newer version (schema {version}, this one knows {known})",
            hint=f"run the newer version again; nothing was changed{way_back(path, known)}",
        )


def _check_soundness(connection: sqlite3.Connection, path: Path) -> None:
    verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        raise _damaged(path, verdict)


def _migrate(connection: sqlite3.Connection, newest: int | None = None) -> None:
    current = schema_version(connection)
    for number, script in migrations():
        if current < number and (newest is None or number <= newest):
            # One transaction a migration, its number included: a crash leaves the old schema or the new one.
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {_APPLICATION_ID};\n"
                f"PRAGMA user_version = {number};\nCOMMIT;"
            )


def _damaged(path: Path, detail: str) -> LedgerError:
    return LedgerError(
        f"ledger {path} is damaged: {detail}",
        hint=f"nothing was changed; move {path.name} and its -wal and -shm files away to have it rebuilt from the hosts"
        " (history and pauses are lost)",
    )


def _ledger_error(path: Path, error: sqlite3.Error) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, str(error))
    message, hint = {
        sqlite3.SQLITE_FULL: ("no space is left for it", f"make room on the file system of {path.parent}"),
        sqlite3.SQLITE_READONLY: ("it is read-only", f"make {path.parent} writable for this user"),
        sqlite3.SQLITE_CANTOPEN: ("it can't be opened", f"make {path.parent} readable and writable for this user"),
        sqlite3.SQLITE_BUSY: ("another process holds it", "find it with: fuser " + str(path)),
    }.get(code, (str(error), f"look at the file system of {path.parent}"))
    return LedgerError(f"ledger {path}: {message}", hint=f"{hint}; nothing is done without a ledger")

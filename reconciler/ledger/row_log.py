"""Rows as keys and values, and which of them a connection touches: told by triggers of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_KEY_COLUMNS: Final = 4
_ONLY_COUNTED: Final = "pass"
"""Of runs of equal passes the ledger counts each one: that is not worth a change of etcd every few seconds."""


class RowKey(NamedTuple):
    """Which row."""

    table: str
    key: tuple[Any, ...]

    def text(self) -> str:
        """`placement/["web"]`."""
        return f"{self.table}/{json.dumps(self.key, ensure_ascii=False)}"


def read_key(text: str) -> RowKey:
    """The other way round."""
    table, _, key = text.partition("/")
    return RowKey(table, tuple(json.loads(key)))


class RowLog:
    """Keeps note of the rows that are touched through `connection`, which is to be its only writer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._columns = dict(_tables(connection))
        # Else what a REPLACE puts out of the way is not told.
        connection.execute("PRAGMA recursive_triggers = ON")
        connection.execute("CREATE TEMP TABLE touched (tbl TEXT, k1, k2, k3, k4)")
        for table, columns in self._columns.items():
            for event, rows in (("INSERT", "N"), ("UPDATE", "ON"), ("DELETE", "O")):
                if (table, event) != (_ONLY_COUNTED, "UPDATE"):
                    self._have_told(table, columns, event, rows)

    def _have_told(self, table: str, columns: tuple[str, ...], event: str, rows: str) -> None:
        statements = []
        for row in rows:
            keys = [f"{'NEW' if row == 'N' else 'OLD'}.{column}" for column in columns]
            values = ", ".join([f"'{table}'", *keys, *(["NULL"] * (_KEY_COLUMNS - len(keys)))])
            statements.append(f"INSERT INTO touched VALUES ({values});")  # noqa: S608  # names of our own schema
        trigger = f"touched_{table}_{event} AFTER {event} ON main.{table}"
        self._connection.execute(f"CREATE TEMP TRIGGER {trigger} BEGIN {' '.join(statements)} END")

    def take(self) -> list[RowKey]:
        """What was touched since the last time, each row once; within the transaction, so that it goes with it."""
        touched = self._connection.execute("SELECT DISTINCT tbl, k1, k2, k3, k4 FROM temp.touched").fetchall()
        if touched:
            self._connection.execute("DELETE FROM temp.touched")
        return [RowKey(row[0], tuple(row[1 : 1 + len(self._columns[row[0]])])) for row in touched]

    def row(self, key: RowKey) -> str | None:
        """The row as it is now, as text; None if there is none."""
        where = " AND ".join(f"{column} = ?" for column in self._columns[key.table])
        cursor = self._connection.execute(f"SELECT * FROM {key.table} WHERE {where}", key.key)  # noqa: S608  # ours
        found = cursor.fetchone()
        return None if found is None else _text(cursor, found)

    def rows(self) -> Iterator[tuple[RowKey, str]]:
        """Every row of every table."""
        for table, columns in self._columns.items():
            cursor = self._connection.execute(f"SELECT * FROM {table}")  # noqa: S608  # ours
            names = [column[0] for column in cursor.description]
            places = [names.index(column) for column in columns]
            for row in cursor:
                yield RowKey(table, tuple(row[place] for place in places)), _text(cursor, row)


def put_row(connection: sqlite3.Connection, table: str, text: str) -> None:
    """Write a row as `RowLog.row` gave it; columns that it does not know have their defaults."""
    row = json.loads(text)
    columns = ", ".join(row)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(row.values()))  # noqa: S608  # ours


def _text(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> str:
    names = [column[0] for column in cursor.description]
    return json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)


def _tables(connection: sqlite3.Connection) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each table with the columns of its primary key, in their order."""
    names = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    for (table,) in names:
        columns = connection.execute(f"PRAGMA main.table_info({table})").fetchall()
        keys = sorted((place, name) for _, name, _, _, _, place in columns if place)
        yield table, tuple(name for _, name in keys)

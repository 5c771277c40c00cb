"""The copy of a ledger that is made before it is brought to a newer schema: the way back to the older program."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Final

from reconciler.private_files import open_private

_COPY: Final = re.compile(r".*\.schema-(\d+)")


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the ledger at `path` to `NAME.schema-N` beside it, N being the schema that it has; raises what SQLite does.

    Copies of other schemas are removed: the older one of these is, the less of it is true.
    """
    schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    copy = path.with_name(f"{path.name}.schema-{schema}")
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = open_private(draft)
    try:
        with closing(sqlite3.connect(draft)) as target:
            connection.backup(target)
        os.fsync(descriptor)
    except (OSError, sqlite3.Error):
        draft.unlink()
        raise
    finally:
        os.close(descriptor)
    draft.replace(copy)
    for other in _copies(path):
        if other != copy:
            other.unlink()
    # Logging is no concern of commands that only look.
    import_module("structlog").get_logger().info("ledger.migrating", schema=schema, copy=str(copy))


def way_back(path: Path, known: int) -> str:
    """What a program that knows schemas up to `known` may do with a newer ledger, if there is a copy that it knows."""
    for copy in _copies(path):
        if int(copy.suffix.partition("-")[2]) <= known:
            return f"; or go back to before the upgrade, if that was just now: mv {copy} {path}"
    return ""


def _copies(path: Path) -> list[Path]:
    return [file for file in path.parent.glob(f"{path.name}.schema-*") if _COPY.fullmatch(file.name)]

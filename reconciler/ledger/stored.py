"""The ledger as etcd has it: which keys are its rows, of which schema they are, and what they tell without SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from reconciler.leadership.keys import Keys
    from reconciler.leadership.store import Reading, Store


class _Pass(Struct, frozen=True):
    """What is asked of a row of that table."""

    id: int
    generation: str


class _LedSpecs(Struct, frozen=True):
    generation: str
    content: str
    doubted: str
    doubted_content: str

    def contents(self) -> Mapping[str, str]:
        """By generation."""
        return {self.generation: self.content, self.doubted: self.doubted_content}


def schema_of(reading: Reading, keys: Keys) -> int:
    """Number of the migration that the rows are of; 0 where etcd holds no ledger of the fleet."""
    return next((int(item.value) for item in reading.items if item.key == keys.schema), 0)


def rows_of(reading: Reading, keys: Keys) -> Mapping[str, str]:
    """Row by key (`placement/["web"]`). Without a schema they are what somebody who was cut off left."""
    return {item.key.removeprefix(keys.rows): item.value for item in reading.items if item.key.startswith(keys.rows)}


class Led(Struct, frozen=True):
    """The specs that a leader acted on; both empty where nobody led."""

    generation: str = ""
    content: str = ""
    """Hash of what was in the files, empty where it is not on record."""


def led_by(store: Store, keys: Keys) -> Led:
    """By the last pass of whoever led; raises StoreUnavailable."""
    rows = rows_of(store.read(f"{keys.rows}pass/"), keys).values()
    newest = max((msgspec.json.decode(row, type=_Pass) for row in rows), key=lambda each: each.id, default=None)
    if newest is None:
        return Led()
    contents = {"": ""}
    for row in rows_of(store.read(f"{keys.rows}led_specs/"), keys).values():
        contents |= msgspec.json.decode(row, type=_LedSpecs).contents()
    return Led(newest.generation, contents.get(newest.generation, ""))

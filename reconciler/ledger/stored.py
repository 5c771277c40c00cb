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


def schema_of(reading: Reading, keys: Keys) -> int:
    """Number of the migration that the rows are of; 0 where etcd holds no ledger of the fleet."""
    return next((int(item.value) for item in reading.items if item.key == keys.schema), 0)


def rows_of(reading: Reading, keys: Keys) -> Mapping[str, str]:
    """Row by key (`placement/["web"]`). Without a schema they are what somebody who was cut off left."""
    return {item.key.removeprefix(keys.rows): item.value for item in reading.items if item.key.startswith(keys.rows)}


class Led(Struct, frozen=True):
    """The specs that the fleet is led by; both empty where nobody led."""

    generation: str = ""
    content: str = ""
    """Hash of what was in the files, empty where it is not on record."""


def led_by(store: Store, keys: Keys) -> Led:
    """What is on record as beyond doubt, else what was last planned from; raises StoreUnavailable."""
    recorded = rows_of(store.read(f"{keys.rows}led_specs/"), keys).values()
    for row in recorded:
        return msgspec.json.decode(row, type=Led)
    rows = rows_of(store.read(f"{keys.rows}pass/"), keys).values()
    newest = max((msgspec.json.decode(row, type=_Pass) for row in rows), key=lambda each: each.id, default=None)
    return Led(newest.generation) if newest else Led()

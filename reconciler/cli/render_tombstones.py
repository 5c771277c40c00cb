"""What is kept of removed VMs and replaced disks, as a table."""

from __future__ import annotations

from typing import Literal

from reconciler.cli.tables import Column
from reconciler.model.quantities import approximate_size
from reconciler.model.spoken_time import span, utc
from reconciler.model.status import TombstoneStatus

_SOON = 86400.0


def tombstone_columns() -> tuple[Column[TombstoneStatus], ...]:
    """Whose it is, since when and for how long yet, and where."""
    return (
        Column("vm", lambda stone: stone.vm, lambda _: ("bold",), "kept of"),
        Column("why", lambda stone: stone.kind),
        Column("since", lambda stone: utc(stone.since)),
        Column("expires", lambda stone: f"in {span(stone.left)}" if stone.left else "now", _expiry_style),
        Column("disks", lambda stone: ",".join(stone.disks)),
        Column("size", lambda stone: "" if stone.size is None else approximate_size(stone.size)),
        Column("where", lambda stone: f"{','.join(stone.pools)} on {stone.host}"),
        Column("message", lambda stone: stone.message),
    )


def _expiry_style(stone: TombstoneStatus) -> tuple[Literal["warn"], ...]:
    return ("warn",) if stone.left < _SOON else ()

"""When hosts were last seen, kept across controllers: a human decides by it whether a host is dead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from reconciler.ledger.store import Ledger
from reconciler.model.health import HostHealth
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView

_EVERY: Final = 60.0
"""Seconds between two notes of one host: nobody wants a write a second."""


def newer(before: HostHealth, seen: float | None) -> Iterator[HostHealth]:
    """What is known of a host, seen at `seen` (wall time), if that is worth writing down; a clock may be set back."""
    if seen is not None and (before.last_seen is None or abs(seen - before.last_seen) >= _EVERY):
        yield replace(before, last_seen=seen)


def note_seen(ledger: Ledger, inventory: Inventory, view: LedgerView) -> None:
    """For a controller that does not watch: hosts that it read were there, whoever judges them next."""
    known = [(view.health[name], observed) for name, observed in inventory.hosts.items() if name in view.health]
    noted = [news for health, observed in known for news in newer(health, observed.observed_at)]
    if noted:
        ledger.record_health(*noted)

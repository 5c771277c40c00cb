"""Who led when, in the history of the fleet."""

from __future__ import annotations

from reconciler.leadership.keys import Leader
from reconciler.ledger.records import LEADS, LedgerEvent
from reconciler.ledger.store import FLEET_TARGET, Ledger


def record_term(ledger: Ledger, leader: Leader) -> None:
    """Write down that `leader` took the lead."""
    told = f"{leader.name} took the lead: term {leader.term}"
    ledger.record_event(LedgerEvent(leader.since, "", FLEET_TARGET, "", LEADS, told))

"""What happens to a host happens to its VMs: told in the history of each."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import Ledger


def tell_vms(ledger: Ledger, event: LedgerEvent) -> None:
    """Add an event of a host to the history of each VM that is placed there."""
    placements = ledger.view().placements
    for vm in sorted(name for name, placement in placements.items() if placement.host == event.host):
        ledger.record_event(replace(event, target=f"VirtualMachine/{vm}"))

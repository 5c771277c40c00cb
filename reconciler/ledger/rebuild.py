"""A lost ledger comes back from the ownership marks on the hosts; nothing is ever removed for it."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.ledger.store import Ledger
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView, Placement


def unrecorded_placements(view: LedgerView, inventory: Inventory, fleet: str, now: float) -> tuple[Placement, ...]:
    """Placements that the hosts know and the ledger does not, by VM.

    The highest epoch wins. Of equal ones, which only people can make, the running copy wins, then the first host by
    name; the planner reports the other. A mark with a higher epoch than the ledger's says that the ledger is an old
    backup: an epoch is always recorded before it is marked.
    """
    found: dict[str, Placement] = {}
    for placement, _active in sorted(_marked(inventory, fleet, now), key=_weakest_first):
        recorded = view.placements.get(placement.vm)
        if recorded is None or recorded.epoch < placement.epoch:
            found[placement.vm] = placement
    return tuple(found[vm] for vm in sorted(found))


def adopt_marks(ledger: Ledger, inventory: Inventory, fleet: str, now: float) -> tuple[Placement, ...]:
    """Record `unrecorded_placements`, and return them."""
    adopted = unrecorded_placements(ledger.view(), inventory, fleet, now)
    for placement in adopted:
        ledger.record_placement(placement.vm, placement.host, placement.epoch, placement.since)
    return adopted


def _marked(inventory: Inventory, fleet: str, now: float) -> Iterator[tuple[Placement, bool]]:
    for host in sorted(inventory.hosts, reverse=True):
        for domain in inventory.hosts[host].domains.values():
            mark = domain.config.mark
            # A copy made with virt-clone has our mark too, but never the UUID that follows from it.
            if mark is not None and mark.fleet == fleet and domain.uuid == vm_uuid(fleet, mark.vm):
                yield Placement(mark.vm, host, mark.epoch, now), domain.active


def _weakest_first(candidate: tuple[Placement, bool]) -> tuple[int, bool]:
    placement, active = candidate
    return placement.epoch, active

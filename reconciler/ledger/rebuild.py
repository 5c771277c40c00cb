"""A lost ledger comes back from the ownership marks on the hosts; nothing is ever removed for it."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.ledger.store import Ledger
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import Placement


def adopt_marks(ledger: Ledger, inventory: Inventory, fleet: str, now: float) -> tuple[Placement, ...]:
    """Record placements that the hosts know and the ledger does not; return them, by VM.

    The highest epoch wins. Of equal ones, which only people can make, the running copy wins, then the first host by
    name; the planner reports the other. A mark with a higher epoch than the ledger's says that the ledger is an old
    backup: an epoch is always recorded before it is marked.
    """
    known = ledger.view().placements
    adopted: dict[str, Placement] = {}
    for placement, _active in sorted(_marked(inventory, fleet, now), key=_weakest_first):
        recorded = known.get(placement.vm)
        if recorded is None or recorded.epoch < placement.epoch:
            adopted[placement.vm] = placement
    for placement in adopted.values():
        ledger.record_placement(placement.vm, placement.host, placement.epoch, placement.since)
    return tuple(adopted[vm] for vm in sorted(adopted))


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

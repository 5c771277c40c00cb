"""What the hosts show of placed VMs that is to be remembered for when they can't be seen any more."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.ledger.store import Ledger
from reconciler.model.identity import marked_uuid, vm_uuid
from reconciler.model.inventory import Inventory, ObservedDomain
from reconciler.model.ledger import LedgerView, Placement


def note_sightings(
    ledger: Ledger, view: LedgerView, inventory: Inventory, fleet: str, in_flight: frozenset[str] = frozenset()
) -> bool:
    """Write down what is new; return whether anything was. VMs of `in_flight` (`Kind/name`) are left out."""
    is_news = False
    for placement, domain in _placed(view, inventory, fleet):
        if f"VirtualMachine/{placement.vm}" in in_flight:
            continue
        if placement.autostart != domain.config.autostart:
            ledger.note_autostart(placement.vm, autostart=domain.config.autostart)
            is_news = True
        if placement.came_from is not None and domain.active:
            ledger.note_arrival(placement.vm)
            is_news = True
        mark = domain.config.mark
        if placement.marked_epoch is not None and mark is not None and mark.epoch >= placement.epoch:
            ledger.note_mark(placement.vm)
            is_news = True
    return is_news


def _placed(view: LedgerView, inventory: Inventory, fleet: str) -> Iterator[tuple[Placement, ObservedDomain]]:
    """VMs that were seen where the ledger has them."""
    for placement in view.placements.values():
        host = inventory.hosts.get(placement.host)
        domain = host.domains.get(placement.vm) if host is not None else None
        if domain is not None and domain.uuid == _uuid(domain, fleet, placement.vm):
            yield placement, domain


def _uuid(domain: ObservedDomain, fleet: str, vm: str) -> str:
    """The UUID that the VM's domain has, which may have lost its mark meanwhile."""
    mark = domain.config.mark
    return marked_uuid(mark) if mark is not None and (mark.fleet, mark.vm) == (fleet, vm) else vm_uuid(fleet, vm)

"""Whether the machine that answers under a name is the one on record."""

from __future__ import annotations

from reconciler.model.inventory import HostInventory
from reconciler.model.ledger import LedgerView
from reconciler.planner.lost_hosts import is_quarantined


def is_stranger(host: HostInventory, ledger: LedgerView, fleet: str) -> bool:
    """Whether nothing that was read of `host` is what the specs mean: another machine answers, or did when judged."""
    return is_quarantined(ledger, host.name) or is_another_machine(host, ledger, fleet)


def is_another_machine(host: HostInventory, ledger: LedgerView, fleet: str) -> bool:
    """Whether the machine is not the one on record under this name, and what was placed there is not on it.

    A machine without a UUID of its own gets a new one with each start of libvirtd, so the UUID alone says too little;
    and where nothing was placed, nothing is lost with another machine.
    """
    known = ledger.identities.get(host.name)
    if not known or not host.facts.uuid or known == host.facts.uuid:
        return False
    placed = {placement.vm for placement in ledger.placements.values() if placement.host == host.name}
    marks = (domain.config.mark for domain in host.domains.values())
    return bool(placed) and not any(mark is not None and mark.fleet == fleet and mark.vm in placed for mark in marks)

"""What is known of a machine that answers: whether it is the one on record, and whether it is clean."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.inventory import HostInventory
from reconciler.model.ledger import LedgerView, Placement


def stale_copies(host: HostInventory, placements: Mapping[str, Placement], fleet: str) -> tuple[str, ...]:
    """Names of domains whose VM was placed again since, with a higher epoch: they must never run."""
    return tuple(
        sorted(
            domain.name
            for domain in host.domains.values()
            if (mark := domain.config.mark) is not None
            and mark.fleet == fleet
            and (placement := placements.get(mark.vm)) is not None
            and mark.epoch < placement.epoch
        )
    )


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

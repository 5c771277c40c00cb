"""Whether a ledger is an old copy, put back: hosts that it knows have VMs that it can't have missed."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView, Placement


def is_old_copy(view: LedgerView, unrecorded: Iterable[Placement], inventory: Inventory) -> bool:
    """Whether a VM of `unrecorded` is marked with its epoch on a host that was read with this ledger before.

    An epoch is always recorded before it is marked, so all of that has happened since the copy was made. What more has,
    on hosts out of sight, nobody knows: that they were read once says nothing any more.
    """
    return any(
        placement.host in view.hosts_read and not _was_removed(view, placement) and _is_marked(inventory, placement)
        for placement in unrecorded
    )


def _was_removed(view: LedgerView, placement: Placement) -> bool:
    """Whether it is a copy of before the VM's removal, or that very one: somebody may have put it back."""
    removed = view.removed.get(placement.vm)
    return removed is not None and placement.epoch <= removed.epoch


def _is_marked(inventory: Inventory, placement: Placement) -> bool:
    """Not so where people moved the VM: the epoch that it gets for that is not in its mark yet."""
    marks = (domain.config.mark for domain in inventory.hosts[placement.host].domains.values())
    return any(mark is not None and (mark.vm, mark.epoch) == (placement.vm, placement.epoch) for mark in marks)

"""A start that fails because another QEMU has the disk open: a host that counts as dead may well run the VM."""

from __future__ import annotations

from typing import Final

from reconciler.model.ledger import Failure, LedgerView
from reconciler.model.plan import Action, Unmet
from reconciler.model.steps import StartDomain

_LOCK: Final = 'Failed to get "write" lock'
"""What QEMU says of an image that another QEMU writes to."""


def locked_disk(ledger: LedgerView, action: Action, failure: Failure, when: str) -> Unmet | None:
    """What a start waits for that met QEMU's lock, tried again `when`; None for any other failure."""
    if not isinstance(action.step, StartDomain) or _LOCK not in failure.message:
        return None
    former = _former_host(ledger, action.target.name)
    if former is None:
        detail = f"another QEMU has its disk open, here or on another host ({failure.message}; {when})"
        hint = "find out who has it open, and switch that off; the disk must not be written to by two"
        return Unmet(action.target, "disk-locked", detail, "blocked", host=action.host, hint=hint)
    detail = f"another QEMU has its disk open: {former}{_taken_for_dead(ledger, former)}, seems to run it ({when})"
    hint = f"cut the power of {former}, or pull its cords: it is not dead; then check the VM's disks"
    return Unmet(action.target, "disk-locked", detail, "blocked", host=action.host, hint=hint)


def _former_host(ledger: LedgerView, vm: str) -> str | None:
    """Where the VM was before; where that is not on record, the one host that counts as dead."""
    placement = ledger.placements.get(vm)
    if placement is not None and placement.came_from is not None:
        return placement.came_from
    return next(iter(ledger.proofs)) if len(ledger.proofs) == 1 else None


def _taken_for_dead(ledger: LedgerView, host: str) -> str:
    proof = ledger.proofs.get(host)
    if proof is None:
        return ""
    return f", {'confirmed' if proof.kind == 'human' else 'proven'} dead by {proof.by}"

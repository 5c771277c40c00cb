"""What the specs say about the disks of a VM, remembered for when its spec is gone."""

from __future__ import annotations

from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DeletionPolicy
from reconciler.model.ledger import LedgerView


def unrecorded_policies(view: LedgerView, desired: DesiredState) -> dict[str, DeletionPolicy]:
    """Deletion policies of placed VMs, by name, that the ledger does not know yet or knows otherwise."""
    return {
        vm: desired.vms[vm].spec.deletion_policy
        for vm, placement in view.placements.items()
        if vm in desired.vms and desired.vms[vm].spec.deletion_policy != placement.deletion_policy
    }

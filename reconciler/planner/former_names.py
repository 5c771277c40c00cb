"""VMs that have another name in the specs than their domain has: until that is renamed, they go by the old one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import OwnershipMark
from reconciler.model.identity import marked_uuid
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.model.volume_names import owner_of


def under_former_names(desired: DesiredState, inventory: Inventory, ledger: LedgerView, fleet: str) -> DesiredState:
    """`desired` with each such VM under the name that its domain, or its record, has; `to_rename` says so.

    So all that is known of it goes on to count, it is recovered from a lost host as ever, and nothing of it is removed
    for having left the specs.
    """
    new = [vm for name, vm in desired.vms.items() if name not in ledger.placements]
    former = {**_on_record(ledger, fleet), **_in_sight(inventory, fleet)} if new else {}
    gone = {made_as: name for name, made_as in former.items() if _has_left(desired, name)}
    to_rename = {gone[vm.metadata.origin]: vm for vm in new if vm.name not in former and vm.metadata.origin in gone}
    if not to_rename:
        return desired
    names = {vm.name for vm in to_rename.values()}
    kept = {name: vm for name, vm in desired.vms.items() if name not in names}
    renamed = {old: _named(vm, old) for old, vm in to_rename.items()}
    before = {vm.name: old for old, vm in to_rename.items()}
    images = {
        name: image.model_copy(update={"spec": image.spec.model_copy(update={"source": source})})
        for name, image in desired.images.items()
        if image.spec.source.vm in before
        for source in (image.spec.source.model_copy(update={"vm": before[image.spec.source.vm]}),)
    }
    vms = dict(sorted({**kept, **renamed}.items()))
    return replace(
        desired,
        vms=vms,
        images={**desired.images, **images},
        former={vm.metadata.origin: name for name, vm in vms.items() if vm.metadata.previous_name is not None},
        to_rename={old: vm.name for old, vm in to_rename.items()},
    )


def _has_left(desired: DesiredState, name: str) -> bool:
    return name not in desired.vms and ObjectRef("VirtualMachine", name) not in desired.unusable


def _named(vm: VirtualMachine, name: str) -> VirtualMachine:
    origin = vm.metadata.origin
    metadata = vm.metadata.model_copy(update={"name": name, "previous_name": None if origin == name else origin})
    return vm.model_copy(update={"metadata": metadata})


def _in_sight(inventory: Inventory, fleet: str) -> dict[str, str]:
    """By VM: the name that it was made with, as marks tell it."""
    return {mark.vm: mark.made_as for mark in _marks(inventory, fleet)}


def _marks(inventory: Inventory, fleet: str) -> Iterator[OwnershipMark]:
    for host in inventory.hosts.values():
        for domain in host.domains.values():
            mark = domain.config.mark
            if mark is not None and mark.fleet == fleet and domain.uuid == marked_uuid(mark):
                yield mark


def _on_record(ledger: LedgerView, fleet: str) -> Mapping[str, str]:
    """By placed VM: the name that it was made with, as the names of its volumes tell it."""
    known = {name: name for name in ledger.placements}
    for (vm, _disk), volume in ledger.disk_volumes.items():
        owner = owner_of(fleet, volume)
        if vm in known and owner is not None:
            known[vm] = owner.vm
    return known

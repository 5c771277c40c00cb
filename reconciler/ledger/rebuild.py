"""A lost ledger comes back from the ownership marks on the hosts; nothing is ever removed for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from msgspec.structs import replace

from reconciler.ledger.store import Ledger
from reconciler.model.identity import marked_uuid, vm_uuid
from reconciler.model.inventory import Inventory, ObservedDomain
from reconciler.model.ledger import LedgerView, Placement
from reconciler.model.volume_names import owner_of


def unrecorded_placements(
    view: LedgerView,
    inventory: Inventory,
    fleet: str,
    now: float,
    in_flight: frozenset[str] = frozenset(),
    never_seen: Collection[str] = (),
) -> tuple[Placement, ...]:
    """Placements that the hosts know and the ledger does not, by VM.

    The highest epoch wins. Of equal ones, which only people can make, the running copy wins, then the first host by
    name; the planner reports the other. A mark with a higher epoch than the ledger's says that the ledger is an old
    backup: an epoch is always recorded before it is marked. Not so where another copy runs, of a life that began with a
    new ledger: it would be killed. The planner reports both.

    What is off, and not on record, may be an old copy while there are hosts that were never read with this ledger
    (`never_seen`): the VM may run there.

    What is older than a VM's removal is left of a life that is over.

    A VM that people moved is where it is now, with an epoch of its own, so that an older copy that comes back loses.
    Its mark gets that later: moved once more before that, while it is held, it still has the mark of before.

    VMs of `in_flight` (`Kind/name`) are left out: what was observed of them may be outdated already. So are those that
    are being migrated: where they are is settled by who does that.
    """
    found: dict[str, Placement] = {}
    copies = sorted(_marked(inventory, fleet, now), key=_weakest_first)
    how_many = Counter(placement.vm for placement, _domain in copies)
    running = Counter(placement.vm for placement, domain in copies if domain.active)
    for placement, domain in copies:
        vm, recorded = placement.vm, view.placements.get(placement.vm)
        if f"VirtualMachine/{vm}" in in_flight or vm in view.migrations:
            continue
        others_run = running[vm] > domain.active
        if recorded is None:
            if _is_newest(placement, view) and (domain.active or not (others_run or never_seen)):
                found[vm] = placement
        elif recorded.epoch < placement.epoch:
            if not others_run:
                found[vm] = placement
        elif how_many[vm] == 1 and (
            _was_moved(placement, domain, recorded, inventory, view)
            or _never_left(placement, recorded, inventory)
            or _was_chosen(placement, domain, recorded, inventory, view)
        ):
            found[vm] = replace(placement, epoch=recorded.epoch + 1, marked_epoch=placement.epoch)
    return tuple(found[vm] for vm in sorted(found))


def adopt_marks(
    ledger: Ledger,
    inventory: Inventory,
    fleet: str,
    now: float,
    in_flight: frozenset[str] = frozenset(),
    never_seen: Collection[str] = (),
) -> tuple[Placement, ...]:
    """Record `unrecorded_placements`, and return them."""
    view = ledger.view()
    adopted = unrecorded_placements(view, inventory, fleet, now, in_flight, never_seen)
    for placement in adopted:
        old = _renamed_from(placement, inventory, fleet, view)
        if old is not None:
            ledger.rename_vm(old, placement.vm, placement.host)
        ledger.record_placement(
            placement.vm, placement.host, placement.epoch, placement.since, marked_epoch=placement.marked_epoch
        )
        # It came there by no plan of ours, and so did its disks: what a plan had begun to make there was finished.
        ledger.note_in_use(placement.host, _volumes_of(inventory, fleet, placement))
    return adopted


def _renamed_from(placement: Placement, inventory: Inventory, fleet: str, view: LedgerView) -> str | None:
    """The VM on record that the new one was until it was renamed, which was cut off before that was written down."""
    domain = inventory.hosts[placement.host].domains.get(placement.vm)
    mark = domain.config.mark if domain is not None else None
    if mark is None or mark.fleet != fleet or not mark.adopted:
        return None
    for old in view.placements.values():
        is_it = vm_uuid(fleet, old.vm) == mark.adopted or mark.made_as == _made_as(old.vm, view, fleet)
        if is_it and (old.host, old.epoch) == (placement.host, placement.epoch):
            there = inventory.hosts[old.host].domains.values()
            if all(each.config.mark is None or each.config.mark.vm != old.vm for each in there):
                return old.vm
    return None


def _made_as(vm: str, view: LedgerView, fleet: str) -> str:
    volumes = (volume for (name, _disk), volume in view.disk_volumes.items() if name == vm)
    return next((owner.vm for volume in volumes if (owner := owner_of(fleet, volume)) is not None), vm)


def _volumes_of(inventory: Inventory, fleet: str, placement: Placement) -> list[str]:
    return [
        disk.path.rpartition("/")[2]
        for found in inventory.hosts[placement.host].domains.values()
        if (mark := found.config.mark) is not None
        and (mark.fleet, mark.vm, found.uuid) == (fleet, placement.vm, marked_uuid(mark))
        for disk in found.config.disks
    ]


def _marked(inventory: Inventory, fleet: str, now: float) -> Iterator[tuple[Placement, ObservedDomain]]:
    for host in sorted(inventory.hosts, reverse=True):
        for domain in inventory.hosts[host].domains.values():
            mark = domain.config.mark
            # A copy made with virt-clone has our mark too, but never the UUID that follows from it.
            # What only waits for a guest to arrive is no copy yet: it may be given up any moment.
            is_here = mark is not None and not domain.is_on_its_way
            if mark is not None and is_here and mark.fleet == fleet and domain.uuid == marked_uuid(mark):
                yield Placement(mark.vm, host, mark.epoch, now), domain


def _weakest_first(candidate: tuple[Placement, ObservedDomain]) -> tuple[int, bool]:
    placement, domain = candidate
    return placement.epoch, domain.active


def _is_newest(copy: Placement, view: LedgerView) -> bool:
    removed = view.removed.get(copy.vm)
    return removed is None or not removed.outdates(copy.host, copy.epoch)


def _never_left(copy: Placement, recorded: Placement, inventory: Inventory) -> bool:
    """Whether the VM is still where it was to be recovered from: it never came to be where it was put instead."""
    put = inventory.hosts.get(recorded.host)
    return recorded.came_from == copy.host and put is not None and copy.vm not in put.domains


def _was_chosen(
    copy: Placement, domain: ObservedDomain, recorded: Placement, inventory: Inventory, view: LedgerView
) -> bool:
    """Whether the VM ran on at the source of a move too, with disks of its own, and people ended the other copy."""
    there = inventory.hosts.get(recorded.host)
    has_own_disks = any((left.vm, left.host) == (copy.vm, copy.host) for left in view.left_behind)
    is_alone = there is not None and copy.vm not in there.domains and recorded.host != copy.host
    return has_own_disks and domain.state == "running" and is_alone


def _was_moved(
    copy: Placement, domain: ObservedDomain, recorded: Placement, inventory: Inventory, view: LedgerView
) -> bool:
    """Whether people moved the VM: of two hosts with equal epochs, the recorded one surely does not run it.

    That is so where it was read and has no such domain, and where the VM runs in sight: a guest that is still being
    migrated is paused at its destination. What a lost host brings back with the mark of before a move was left there.
    """
    is_marked = copy.epoch == recorded.marked_epoch and copy.host not in view.incidents
    if not (is_marked or recorded.epoch == copy.epoch) or recorded.host == copy.host:
        return False
    before = inventory.hosts.get(recorded.host)
    if before is None:
        return domain.state == "running"
    return copy.vm not in before.domains and all(other.uuid != domain.uuid for other in before.domains.values())

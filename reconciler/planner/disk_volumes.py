"""Which volume a VM's disk has: that of its definition, for a restore gives the disk another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.identity import disk_volume, parse_disk_volume
from reconciler.model.inventory import HostInventory
from reconciler.model.ledger import LedgerView
from reconciler.model.virtual_machine import Disk
from reconciler.planner.ownership import Copy


def volume_of(
    fleet: str,
    vm: str,
    made_as: str,
    disk: Disk,
    copies: tuple[Copy, ...],
    ledger: LedgerView,
    restored: Mapping[tuple[str, str], tuple[str, ...]],
) -> str:
    """The volume of `disk`: that of the newest definition in sight, else the one on record.

    Where nothing is on record of the VM at all, as the ledger is lost, it is the newest in sight. Its name has the one
    that the VM was made with.
    """
    first = disk.volume or disk_volume(fleet, made_as, disk.name, disk.format)
    prefix = f"{fleet}.{made_as}.{disk.name}.r"
    for copy in copies if len(copies) < 2 else sorted(copies, key=lambda found: -found.mark.epoch):
        for known in copy.domain.config.disks:
            name = known.path.rpartition("/")[2]
            if name == first:
                return first
            if name.startswith(prefix) and _is_of(fleet, name, made_as, disk):
                return name
    recorded = ledger.disk_volumes.get((vm, disk.name)) if ledger.disk_volumes else None
    if recorded is not None and _is_of(fleet, recorded, made_as, disk):
        return recorded
    if not restored or vm in ledger.placements or vm in ledger.removed:
        return first
    return next((name for name in restored.get((made_as, disk.name), ()) if name.endswith(f".{disk.format}")), first)


def _is_of(fleet: str, volume: str, vm: str, disk: Disk) -> bool:
    found = parse_disk_volume(fleet, volume)
    return found is not None and (found.vm, found.disk, found.format) == (vm, disk.name, disk.format)


def restored_volumes(fleet: str, hosts: Iterable[HostInventory]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By VM and disk: volumes in sight that a restore has made, the newest first."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for host in hosts:
        for pool in host.pools.values():
            for name in pool.volumes or ():
                if ".r" not in name:
                    continue
                disk = parse_disk_volume(fleet, name)
                if disk is not None and disk.generation:
                    found.setdefault((disk.vm, disk.disk), {})[name] = disk.generation
    return {key: tuple(sorted(names, key=lambda name: (-names[name], name))) for key, names in found.items()}

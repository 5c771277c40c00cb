"""Disks that a domain uses are finished: where the ledger says otherwise, it is an old copy."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import HostInventory, Inventory
from reconciler.model.ledger import LedgerView, VolumeIntent


def finished_volumes(
    view: LedgerView, inventory: Inventory, desired: DesiredState, in_flight: frozenset[str] = frozenset()
) -> frozenset[VolumeIntent]:
    """Volumes on record as begun that a domain has as a disk: a domain is only ever defined after they were finished.

    Those of VMs of `in_flight` (`Kind/name`) are left out: what was observed of them may be outdated already.
    """
    return frozenset(
        intent
        for intent in view.intents
        if f"VirtualMachine/{_vm(intent)}" not in in_flight
        and any(_has_as_a_disk(host, intent) for host in _hosts(inventory, desired, intent))
    )


def _vm(intent: VolumeIntent) -> str:
    _fleet, _, rest = intent.volume.partition(".")
    return rest.partition(".")[0]


def _hosts(inventory: Inventory, desired: DesiredState, intent: VolumeIntent) -> Iterator[HostInventory]:
    pool = desired.pools.get(intent.pool)
    is_shared = pool is not None and pool.spec.shared
    return (host for name, host in inventory.hosts.items() if is_shared or name == intent.host)


def _has_as_a_disk(host: HostInventory, intent: VolumeIntent) -> bool:
    """By name, as a path may have two spellings; but not in the folder of another pool."""
    others = {pool.target.rstrip("/") for name, pool in host.pools.items() if name != intent.pool}
    for domain in host.domains.values():
        for config in (domain.config, domain.live):
            for disk in config.disks if config is not None else ():
                folder, _, name = disk.path.rpartition("/")
                if name == intent.volume and folder not in others:
                    return True
    return False

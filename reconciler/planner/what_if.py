"""What would be if hosts died: the same inputs, as they would be once those hosts are proven dead."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.election import storage_host
from reconciler.model.health import FenceProof, HostHealth, Incident
from reconciler.model.inventory import HostInventory, Inventory, UnreadHost
from reconciler.model.ledger import LedgerView

SUPPOSED: Final = "supposed"
"""Name of the rule of a host that is only supposed to be lost."""
_SUPPOSED: Final = "supposed to be down"


def if_down(
    desired: DesiredState, inventory: Inventory, ledger: LedgerView, hosts: Collection[str], now: float
) -> tuple[Inventory, LedgerView]:
    """Inventory and ledger as they would be with `hosts` dead for certain; of the others nothing changes.

    Nothing is quiet and nothing under way then. What was read of shared pools through a host that is down is seen
    through whoever speaks for them instead: that host would list the same volumes.
    """
    left = {name: host for name, host in inventory.hosts.items() if name not in hosts}
    gone = {name: UnreadHost(name, _SUPPOSED, "", None) for name in hosts}
    health, incidents, proofs = dict(ledger.health), dict(ledger.incidents), dict(ledger.proofs)
    for name in sorted(hosts):
        incidents[name] = Incident(f"supposed-{name}", name, now, None)
        proofs[name] = FenceProof(name, f"supposed-{name}", "human", now, _SUPPOSED, "")
        health[name] = HostHealth(name, "fenced", SUPPOSED, f"{name} is {_SUPPOSED}", now, None)
    return (
        replace(inventory, hosts=_with_shared_pools(desired, inventory, left), unread={**inventory.unread, **gone}),
        replace(ledger, health=health, incidents=incidents, proofs=proofs, quiet=False, in_flight=frozenset()),
    )


def _with_shared_pools(
    desired: DesiredState, inventory: Inventory, left: dict[str, HostInventory]
) -> dict[str, HostInventory]:
    """The hosts that are left, with the volumes of shared pools that only a lost host was asked for."""
    hosts = dict(left)
    for name, pool in desired.pools.items():
        before, after = storage_host(desired, inventory.hosts, name), storage_host(desired, left, name)
        if not pool.spec.shared or before is None or after is None or before == after:
            continue
        was, there = inventory.hosts[before].pools.get(name), hosts[after].pools.get(name)
        if was is not None and was.volumes is not None and there is not None:
            folder = there.target.rstrip("/")
            volumes = {
                key: replace(volume, path=f"{folder}/{volume.name}") if was.target != there.target else volume
                for key, volume in was.volumes.items()
            }
            hosts[after] = replace(hosts[after], pools={**hosts[after].pools, name: replace(there, volumes=volumes)})
    return hosts

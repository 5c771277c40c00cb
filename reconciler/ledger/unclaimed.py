"""Volumes that nobody claims get a tombstone, also where the ledger that had one is lost; what is in use again, none.

```
disk or seed of a VM                     | has it a tombstone?
-----------------------------------------|--------------------
a domain refers to it                    | no: what was on record is forgotten
its VM is in the specs, on record, near  | as it is
nobody has its VM any more               | yes, from now on, for the whole time
not there any more                       | no
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.ledger.store import Ledger
from reconciler.model.counted_time import Instant
from reconciler.model.desired_state import DesiredState
from reconciler.model.election import storage_host
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import HostInventory, Inventory, ObservedVolume
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import Policy
from reconciler.model.resource import ObjectRef
from reconciler.model.restores import number_of
from reconciler.model.tombstone import Tombstone
from reconciler.model.volume_names import owner_of


class Found(Struct, frozen=True):
    """What the hosts show, and the ledger does not say yet."""

    new: tuple[Tombstone, ...] = ()
    over: tuple[tuple[str, str, str], ...] = ()
    """Pool, volume and host of those that are in use again, or gone."""

    def __bool__(self) -> bool:
        return bool(self.new or self.over)

    def applied(self, tombstones: tuple[Tombstone, ...], counted: float) -> tuple[Tombstone, ...]:
        """As the ledger would have them, for who only looks."""
        over = set(self.over)
        left = []
        for stone in tombstones:
            volumes = tuple((pool, name) for pool, name in stone.volumes if (pool, name, stone.host) not in over)
            left += [replace(stone, volumes=volumes)] if volumes else []
        return (*left, *(replace(stone, counted_from=counted) for stone in self.new))


def find(view: LedgerView, inventory: Inventory, desired: DesiredState, policy: Policy, now: float) -> Found:
    """What is to be written; VMs that are worked on (`view.in_flight`) are left out."""
    return _Search(view, inventory, desired, policy, now).run()


def note(ledger: Ledger, found: Found, now: Instant) -> None:
    """Write it down."""
    if found.over:
        ledger.unbury(found.over)
    for stone in found.new:
        ledger.bury(stone, now)


class _Search(Struct, frozen=True):
    view: LedgerView
    inventory: Inventory
    desired: DesiredState
    policy: Policy
    now: float

    def run(self) -> Found:
        over = tuple(self._over())
        known = {(pool, name, stone.host) for stone in self.view.tombstones for pool, name in stone.volumes}
        buried = known - set(over)
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for pool, host, volumes in self._pools() if self._is_certain else ():
            for vm, name in self._without_a_vm(pool, host, volumes, buried):
                found.setdefault((vm, host), []).append((pool, name))
        return Found(tuple(self._stone(vm, host, tuple(volumes)) for (vm, host), volumes in found.items()), over)

    def _without_a_vm(
        self, pool: str, host: str, volumes: Mapping[str, ObservedVolume], buried: set[tuple[str, str, str]]
    ) -> list[tuple[str, str]]:
        """VM and name of those that nobody claims, and that are not known yet."""
        owners = ((owner_of(self.policy.fleet, name), name) for name in sorted(volumes))
        nobodys = [
            (owner.vm, name)
            for owner, name in owners
            if owner is not None
            and self.desired.vm_made_as(owner.vm) is None
            and self._is_nobodys(owner.vm, pool, name, host)
            and not any((pool, name) == each[:2] and (self._is_shared(pool) or each[2] == host) for each in buried)
        ]
        used = self._used(pool, host, volumes) if nobodys else set()
        return [(vm, name) for vm, name in nobodys if name not in used]

    def _stone(self, vm: str, host: str, volumes: tuple[tuple[str, str], ...]) -> Tombstone:
        expires = self.now + self.policy.tombstone_retention
        return Tombstone(vm, "removed", self.now, expires, host, volumes, vm_uuid(self.policy.fleet, vm))

    @property
    def _is_certain(self) -> bool:
        desired = self.desired
        return not (desired.removal_hold or desired.doubt or desired.unusable or desired.errors)

    def _is_shared(self, pool: str) -> bool:
        spec = self.desired.pools.get(pool)
        return spec is not None and spec.spec.shared

    def _pools(self) -> Iterator[tuple[str, str, Mapping[str, ObservedVolume]]]:
        """Pools whose volumes were read: with a host for each, or the one that stands for all of a shared one."""
        for name, pool in sorted(self.desired.pools.items()):
            serves = [host for host in self.desired.hosts if self._serves(name, host)]
            if pool.spec.shared:
                elected = storage_host(self.desired, self.inventory.hosts, name)
                is_all_seen = all(host in self.inventory.hosts for host in serves)
                hosts = [elected] if elected is not None and is_all_seen else []
            else:
                hosts = [host for host in sorted(serves) if host in self.inventory.hosts]
            for host in hosts:
                volumes = self._volumes(name, host)
                if volumes is not None:
                    yield name, host, volumes

    def _serves(self, pool: str, host: str) -> bool:
        matches = self.desired.pools[pool].spec.hosts.matches
        return bool(matches(host, self.desired.hosts[host].metadata.labels))

    def _volumes(self, pool: str, host: str) -> Mapping[str, ObservedVolume] | None:
        observed = self.inventory.hosts[host].pools.get(pool)
        return observed.volumes if observed is not None and observed.active else None

    def _readers(self, pool: str, host: str) -> list[HostInventory]:
        hosts = self.inventory.hosts
        return [*hosts.values()] if self._is_shared(pool) else [hosts[host]] if host in hosts else []

    def _used(self, pool: str, host: str, volumes: Mapping[str, ObservedVolume]) -> set[str]:
        """By name: a path may have two spellings."""
        paths = {volume.backing_path for volume in volumes.values() if volume.backing_path}
        for reader in self._readers(pool, host):
            for domain in reader.domains.values():
                for config in (domain.config, domain.live):
                    if config is not None:
                        paths.update(disk.path for disk in (*config.disks, config.seed) if disk is not None)
        return {path.rpartition("/")[2] for path in paths}

    def _is_nobodys(self, vm: str, pool: str, volume: str, host: str) -> bool:
        """Neither wanted nor placed, on its way nor there, nor about to be deleted for another reason."""
        view, ref = self.view, str(ObjectRef("VirtualMachine", vm))
        if (
            self.desired.vm_made_as(vm) is not None
            or vm in self.desired.vms
            or vm in view.placements
            or vm in view.migrations
            or ref in view.in_flight
        ):
            return False
        doomed = {(each.pool, each.volume) for each in (*view.doomed, *view.left_behind)}
        if (pool, volume) in doomed | {(each.pool, each.volume) for each in view.intents}:
            return False
        uuid = vm_uuid(self.policy.fleet, vm)
        return all(
            vm not in known.domains and all(domain.uuid != uuid for domain in known.domains.values())
            for known in self._readers(pool, host)
        )

    def _over(self) -> Iterator[tuple[str, str, str]]:
        for stone in self.view.tombstones:
            if str(ObjectRef("VirtualMachine", stone.vm)) in self.view.in_flight or self._is_of_before(stone):
                continue
            for pool, name in stone.volumes:
                if pool in self.desired.pools and self._is_over(pool, name, stone.host):
                    yield pool, name, stone.host

    def _is_of_before(self, stone: Tombstone) -> bool:
        """Whether its VM was read before the restore that replaced the disk: its definition tells nothing of that."""
        known = self.view.restores.get(stone.vm)
        if known is None or stone.kind != "replaced":
            return False
        marks = (
            domain.config.mark
            for host in self.inventory.hosts.values()
            if (domain := host.domains.get(stone.vm)) is not None
        )
        return any(mark is not None and number_of(mark.restore) < number_of(known.done) for mark in marks)

    def _is_over(self, pool: str, name: str, host: str) -> bool:
        through = storage_host(self.desired, self.inventory.hosts, pool) if self._is_shared(pool) else host
        if through is None or through not in self.inventory.hosts:
            return False
        volumes = self._volumes(pool, through)
        return volumes is not None and (name not in volumes or name in self._used(pool, through, {}))

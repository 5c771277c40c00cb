"""Local disks that are left of a VM which is nowhere: on which hosts, and which of them are its newest."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Unmet
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.world import World


class KeptDisks(Struct, frozen=True):
    """What is left of `vm`; a VM that was rebuilt elsewhere has left older disks where it was before."""

    world: World
    vm: VirtualMachine

    @property
    def left(self) -> Iterator[tuple[str, str]]:
        """Hosts whose local pools hold a finished disk of this VM, and the disk's name."""
        for disk in self.vm.spec.disks:
            if self.world.is_shared(disk.pool):
                continue
            volume = self.world.disk_volume(self.vm.name, disk)
            for host in self.world.pool_hosts.get(disk.pool, ()):
                observed = self.world.inventory.hosts[host].pools.get(disk.pool)
                if observed is None or not observed.volumes or volume not in observed.volumes:
                    continue
                if not self.world.is_unfinished(disk.pool, volume, host):
                    yield host, disk.name

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that may have its newest disks: the one that it was removed from, else those that are allowed."""
        hosts = sorted({host for host, _disk in self.left})
        removed = self.world.ledger.removed.get(self.vm.name)
        if removed is not None and removed.host in hosts:
            return (removed.host,)
        allowed = self.vm.spec.placement.hosts
        return tuple(host for host in hosts if host in allowed) or tuple(hosts)

    def doubt(self, hosts: tuple[str, ...]) -> Unmet | None:
        """Why it is not known which disks, of those on `hosts`, are its newest: then none is taken or made anew."""
        away = self._last_host_out_of_sight
        if away is not None:
            return Unmet(
                self._target,
                "pool-unavailable",
                f"its disks were kept on {away}, which can't be read",
                host=away,
                hint=NextCommand("why", f"Host/{away}"),
            )
        if len(hosts) < 2:
            return None
        return Unmet(
            self._target,
            "conflict",
            f"disks of it are on {' and '.join(hosts)}, and it is not on record which are the newest; none is taken",
            severity="blocked",
            host=hosts[0],
            hint=f"say which with placement: {{hosts: [{hosts[0]}]}}, or delete those that are not wanted",
        )

    @property
    def _target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    @property
    def _last_host_out_of_sight(self) -> str | None:
        """The host that it was removed from, if its disks stayed there and that can't be looked at."""
        removed = self.world.ledger.removed.get(self.vm.name)
        if removed is None or removed.deletion_policy == "delete" or removed.host in self.world.inventory.hosts:
            return None
        has_local = any(not self.world.is_shared(disk.pool) for disk in self.vm.spec.disks)
        is_known = removed.host in self.world.desired.hosts or ObjectRef("Host", removed.host) in (
            self.world.desired.unusable
        )
        return removed.host if has_local and is_known else None

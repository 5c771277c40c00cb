"""A VM that is nowhere: which host it goes to, and what is made there in which order."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.identity import disk_volume
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefineDomain, StartDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.collisions import report_disk_collision, report_mac_collision
from reconciler.planner.disks import DiskPlanner
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.placement import Room, Verdict, place, reject
from reconciler.planner.vm_domain import desired_domain, marked
from reconciler.planner.world import World


class Creation(Struct, frozen=True):
    """Plans the making of `vm`, which takes its room."""

    world: World
    facilities: Facilities
    rooms: dict[str, Room]
    draft: Draft
    vm: VirtualMachine

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    def plan(self) -> None:
        """Place it and make it, or say why no host fits."""
        verdict = self._place()
        if verdict.host is None:
            self.draft.wait(
                self.target,
                "no-host-fits",
                "no host fits",
                per_host=verdict.rejections,
                hint=NextCommand("why", str(self.target)),
            )
            return
        self.rooms[verdict.host].take(self.vm)
        self._make(verdict.host)

    def _place(self) -> Verdict:
        """The host that it was on comes first: its disks may be there."""
        placement = self.world.ledger.placements.get(self.vm.name)
        before = placement.host if placement else None
        if before in self.rooms:
            room = self.rooms[before]
            if not reject(self.world, self.facilities, self.vm, room):
                return Verdict(before, ())
            if not self._all_shared():
                return place(self.world, self.facilities, self.vm, self.rooms, only=before)
        return place(self.world, self.facilities, self.vm, self.rooms, only=self._host_with_disks())

    def _all_shared(self) -> bool:
        return all(
            (pool := self.world.desired.pools.get(disk.pool)) is not None and pool.spec.shared
            for disk in self.vm.spec.disks
        )

    def _host_with_disks(self) -> str | None:
        """The host whose local pool still holds a disk of this VM, retained from before."""
        for disk in self.vm.spec.disks:
            if self.world.is_shared(disk.pool):
                continue
            volume = disk_volume(self.world.fleet, self.vm.name, disk.name, disk.format)
            for host in self.world.pool_hosts.get(disk.pool, ()):
                observed = self.world.inventory.hosts[host].pools.get(disk.pool)
                if observed is not None and observed.volumes and volume in observed.volumes:
                    return host
        return None

    def _make(self, host: str) -> None:
        before = self.world.ledger.placements.get(self.vm.name)
        epoch = 1 if before is None else before.epoch + (before.host != host)
        config = desired_domain(
            self.world.fleet, self.vm, self.world.desired.hosts[host], self.facilities.pools_on(host)
        )
        if report_disk_collision(self.world, self.draft, self.vm, config, host):
            return
        report_mac_collision(self.world, self.draft, self.vm, host)
        disks = DiskPlanner(self.world, self.facilities, self.draft, self.vm, host, None, "create")
        prepared = disks.prepare(config)
        if prepared is None:
            return
        networks = [
            action
            for nic in config.nics
            if (action := self.facilities.network_actions.get((nic.network, host))) is not None
        ]
        pools = [
            action
            for disk in self.vm.spec.disks
            if (action := self.facilities.pool_actions.get((disk.pool, host))) is not None
        ]
        why: Why = "missing" if before is None else "drift"
        config = marked(config, self.vm, fleet=self.world.fleet, epoch=epoch, generation=self.world.desired.generation)
        autostart = config.autostart
        define = self.draft.act(
            DefineDomain(config),
            target=self.target,
            host=host,
            sign="create",
            why=why,
            detail="define" + (" with autostart" if autostart else ""),
            after=(*prepared, *networks, *pools),
        )
        if self.vm.spec.run_strategy in ("Always", "RerunOnFailure"):
            self.draft.act(
                StartDomain(domain=config.name, uuid=config.uuid),
                target=self.target,
                host=host,
                sign="create",
                why=why,
                detail="start",
                after=(define,),
            )

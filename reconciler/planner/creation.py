"""A VM that is nowhere: which host it goes to, and what is made there in which order."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.plan import FieldChange, Sign, Why
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefineDomain, StartDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.collisions import report_disk_collision, report_mac_collision
from reconciler.planner.disks import DiskPlanner
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.kept_disks import KeptDisks
from reconciler.planner.placement import Room, Verdict, place, reject
from reconciler.planner.revival import Revival
from reconciler.planner.vm_domain import desired_domain, marked
from reconciler.planner.way_out import way_out
from reconciler.planner.world import World


class Creation(Struct, frozen=True):
    """Plans the making of `vm`, which takes its room."""

    world: World
    facilities: Facilities
    rooms: dict[str, Room]
    draft: Draft
    vm: VirtualMachine
    lost: str | None = None
    """The dead host that it was on, if it is recovered from one."""

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    @property
    def _sign(self) -> Sign:
        return "move" if self.lost else "create"

    @property
    def _kept(self) -> KeptDisks:
        return KeptDisks(self.world, self.vm)

    def plan(self) -> None:
        """Place it and make it, or say why no host fits."""
        with_disks = () if self.lost is not None else self._kept.hosts
        is_on_record = self.vm.name in self.world.ledger.placements
        doubt = None if is_on_record else self._kept.doubt(with_disks)
        if doubt is not None:
            self.draft.unmet.append(doubt)
            return
        if not is_on_record and self.lost is None and self._revival.refuses(self.draft):
            return
        verdict = self._place(with_disks)
        if verdict.host is None:
            self.draft.wait(
                self.target,
                "no-host-fits",
                self._why_nowhere(with_disks),
                per_host=verdict.rejections,
                hint=self._way_out(verdict, with_disks),
            )
            return
        self.rooms[verdict.host].take(self.vm)
        self._make(verdict.host)

    def _why_nowhere(self, with_disks: tuple[str, ...]) -> str:
        if self.lost:
            return f"{self.lost} is dead, and no other host fits"
        if with_disks and self._revival.words(with_disks[0]):
            return f"its disks are kept on {with_disks[0]}, which does not take it"
        return "no host fits"

    def _way_out(self, verdict: Verdict, with_disks: tuple[str, ...]) -> str:
        allowed = self.vm.spec.placement.hosts
        if self.lost is None and with_disks and allowed and with_disks[0] not in allowed:
            return f"allow {with_disks[0]}, or have what is kept there deleted: {self._revival.purge}"
        return way_out(self.vm, verdict.rejections)

    @property
    def _revival(self) -> Revival:
        return Revival(self.world, self.vm)

    def _place(self, with_disks: tuple[str, ...]) -> Verdict:
        """The host that it was on comes first: its disks may be there; then one of those `with_disks` of it."""
        if self.lost is not None:
            # Better where nothing of an earlier life lies about; there, too, rather than nowhere.
            fresh = place(self.world, self.facilities, self.vm, self.rooms, barred=self._better_not())
            return fresh if fresh.host else place(self.world, self.facilities, self.vm, self.rooms)
        placement = self.world.ledger.placements.get(self.vm.name)
        before = placement.host if placement else None
        if before in self.rooms:
            room = self.rooms[before]
            if not reject(self.world, self.facilities, self.vm, room):
                return Verdict(before, ())
            if not self._all_shared():
                return place(self.world, self.facilities, self.vm, self.rooms, only=before)
        return place(self.world, self.facilities, self.vm, self.rooms, only=next(iter(with_disks), None))

    def _all_shared(self) -> bool:
        return all(
            (pool := self.world.desired.pools.get(disk.pool)) is not None and pool.spec.shared
            for disk in self.vm.spec.disks
        )

    def _better_not(self) -> dict[str, str]:
        """Hosts that have disks of it, left before or by a recovery that was cut off, and hosts that refused it."""
        left = {host: f"a disk {disk} of it is there already" for host, disk in self._kept.left}
        ours = f"define-domain:{self.target}@"
        refused = [key.removeprefix(ours) for key in self.world.ledger.failures if key.startswith(ours)]
        return {**dict.fromkeys(refused, "it could not be defined there"), **left}

    def _define_words(self, host: str, *, autostart: bool) -> str:
        if self.lost is not None:
            return f"define; it was lost with {self.lost}"
        kept = self._revival.words(host)
        words = "define with autostart" if autostart else "define"
        return f"{words}; it comes back {kept}" if kept else words

    def _older_disks_on(self, host: str) -> tuple[FieldChange, ...]:
        """What is given up where disks that were left on `host` stand for those that died."""
        if self.lost is None:
            return ()
        return tuple(
            FieldChange(f"disks[{disk}]", f"on {self.lost}", f"as it is on {host}", "data-loss")
            for where, disk in self._kept.left
            if where == host
        )

    def _make(self, host: str) -> None:
        before = self.world.ledger.placements.get(self.vm.name)
        removed = self.world.ledger.removed.get(self.vm.name)
        # Above all that it ever had: what comes back with a host that was away is older.
        epoch = before.epoch + (before.host != host) if before else removed.epoch + 1 if removed else 1
        move = self.world.ledger.migrations.get(self.vm.name)
        # It was lost on its way: what came to the target of it may come back with that.
        epoch = epoch if move is None else max(epoch, move.epoch + 1)
        config = desired_domain(
            self.world.fleet,
            self.vm,
            self.world.desired.hosts[host],
            self.facilities.pools_on(host),
            volumes=self.world.disk_volumes(self.vm),
        )
        if report_disk_collision(self.world, self.draft, self.vm, config, host):
            return
        report_mac_collision(self.world, self.draft, self.vm, host)
        disks = DiskPlanner(self.world, self.facilities, self.draft, self.vm, host, None, self._sign, lost=self.lost)
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
        why: Why = "host-lost" if self.lost else "missing" if before is None else "drift"
        config = marked(
            config,
            self.vm,
            fleet=self.world.fleet,
            epoch=epoch,
            generation=self.world.desired.generation,
            restore=self.world.last_restore(self.vm.name),
        )
        losses = self._older_disks_on(host)
        if self.lost is None:
            self._revival.report_left_out(self.draft)
        define = self.draft.act(
            DefineDomain(config, came_from=self.lost),
            target=self.target,
            host=host,
            sign=self._sign,
            why=why,
            disruption="data-loss" if losses else "none",
            changes=losses,
            detail=self._define_words(host, autostart=config.autostart),
            after=(*prepared, *networks, *pools),
        )
        if self.vm.spec.run_strategy in ("Always", "RerunOnFailure"):
            self.draft.act(
                StartDomain(domain=config.name, uuid=config.uuid),
                target=self.target,
                host=host,
                sign=self._sign,
                why=why,
                detail="start",
                after=(define,),
            )

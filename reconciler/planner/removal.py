"""VMs that left the specs: stopped and undefined, their disks kept unless they are to be deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct

from reconciler.model.domain import DiskConfig
from reconciler.model.inventory import ObservedPool
from reconciler.model.ledger import Migration
from reconciler.model.next_command import ACCEPT_SPECS, NextCommand
from reconciler.model.plan import Disruption, FieldChange, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.spoken_time import span, utc
from reconciler.model.steps import DeleteVolume, KeptParts, StopDomain, UndefineDomain
from reconciler.model.volume_names import owner_of
from reconciler.planner.deletion_guard import DeletionGuard, removal_of
from reconciler.planner.draft import Draft
from reconciler.planner.leftovers import leftovers
from reconciler.planner.lost_vms import clear_stale_copies
from reconciler.planner.on_its_way import OnItsWay
from reconciler.planner.ownership import Copy
from reconciler.planner.renaming import hold_old
from reconciler.planner.specs_doubt import SHORT
from reconciler.planner.world import World


def plan_removals(
    world: World, guard: DeletionGuard, draft: Draft, alike: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Managed VMs that the specs no longer name; not those that may have another name in them now (old → new)."""
    known = world.copies.keys() | world.foreign.impostors.keys() | world.ledger.placements.keys()
    for name in sorted(known - world.desired.vms.keys()):
        ref = ObjectRef("VirtualMachine", name)
        if name in alike:
            hold_old(world, draft, name, alike[name])
            continue
        move = world.ledger.migrations.get(name)
        if move is not None and OnItsWay(world, draft, move).decides():
            _foretell(world, draft, ref, move)
            continue  # it is removed once it is known where it is
        if ref not in world.desired.unusable:
            _report_impostors(world, draft, ref)
            _report_unseen(world, draft, ref)
            # Old copies on hosts that came back go first.
            if world.is_paused(ref) or not clear_stale_copies(world, draft, ref):
                for copy in world.copies.get(name, ()):
                    _Removal(world, guard, draft, ref, copy).plan()


def _foretell(world: World, draft: Draft, ref: ObjectRef, move: Migration) -> None:
    """What no action of this plan does, and the one after the move's end will do at once."""
    is_protected = any(copy.mark.prune == "disabled" for copy in world.copies.get(ref.name, ()))
    if is_protected or ref in world.desired.unusable or world.desired.removal_hold or world.is_paused(ref):
        return
    placement = world.ledger.placements.get(ref.name)
    loses = placement is not None and placement.deletion_policy == "delete"
    disks = "with its disks" if loses else f"its disks are kept for {span(world.policy.tombstone_retention)} from then"
    cost: Disruption = "data-loss" if loses else "destroy"
    draft.wait(
        ref,
        "removal-waits",
        f"not in the specs any more: once it has come to {move.target} it is shut down and undefined there, {disks}",
        host=move.target,
        hint="put its spec back before that, if it is to stay",
        changes=(FieldChange("state", "on its way", "removed", cost),),
    )


def _report_impostors(world: World, draft: Draft, ref: ObjectRef) -> None:
    for other in world.foreign.impostors.get(ref.name, ()):
        draft.wait(
            ref,
            "conflict",
            f"domain {other.domain.name} on {other.host} carries the mark of {ref}, which is not in the specs, but has"
            " another name or UUID; it is left alone",
            severity="blocked",
            host=other.host,
            hint=f"virsh -c {world.desired.hosts[other.host].spec.uri} metadata {other.domain.name}"
            " urn:reconciler:domain:1 --remove --config",
        )


def _report_unseen(world: World, draft: Draft, ref: ObjectRef) -> None:
    placement = world.ledger.placements.get(ref.name)
    if placement is None or ref.name in world.copies or placement.host in world.inventory.hosts:
        return
    if placement.host in world.desired.hosts:
        draft.wait(
            ref,
            "host-unread",
            f"not in the specs, but {placement.host}, which it was placed on, can't be read",
            host=placement.host,
            hint=NextCommand("why", f"Host/{placement.host}"),
        )


class _Removal(Struct, frozen=True):
    world: World
    guard: DeletionGuard
    draft: Draft
    ref: ObjectRef
    copy: Copy

    def plan(self) -> None:
        if self.world.desired.doubt:
            detail = f"waits: removal, as it is not in the specs; {SHORT}"
            self._hold("specs-doubted", detail, ACCEPT_SPECS)
        elif self.world.desired.removal_hold:
            self._hold(
                "removal-held", f"not in the specs, but {self.world.desired.removal_hold}", NextCommand("validate")
            )
        elif self.copy.mark.prune == "disabled":
            self._hold(
                "prune-disabled",
                "not in the specs, and protected by reconciler/prune: disabled",
                "put its spec back without the annotation, apply, then remove it",
            )
        elif self.world.is_paused(self.ref):
            self._hold("paused", "not in the specs, and held", NextCommand("resume", str(self.ref)))
        elif self._old or not self.guard.holds(self.draft, removal_of(self.world, self.ref.name), self.copy.host):
            self._unless_in_doubt()

    def _unless_in_doubt(self) -> None:
        doubt = self._doubt() or (self._doubt_about_disks() if self._losing else "")
        if doubt:
            self._hold("removal-held", f"not in the specs, but {doubt}", NextCommand("why", str(self.ref)))
        else:
            self._remove()

    def _hold(self, reason: UnmetReason, detail: str, hint: str) -> None:
        self.draft.wait(self.ref, reason, detail, severity="blocked", host=self.copy.host, hint=hint)

    @property
    def _old(self) -> bool:
        """Of before the VM was removed elsewhere."""
        return self.copy in leftovers(self.world, self.ref.name)

    @property
    def _losing(self) -> bool:
        """Disks go where the mark and what the specs said last agree: that of a copy that was out of sight is old.

        With a new ledger the mark decides, but for a host that was lost: the VM may have had another life since.
        """
        ledger, copy = self.world.ledger, self.copy
        record = ledger.placements.get(self.ref.name) or ledger.removed.get(self.ref.name)
        if copy.mark.deletion_policy != "delete" or self._old:
            return False
        if record is not None and record.host != copy.host and record.epoch >= copy.mark.epoch:
            return False
        if record is None or record.deletion_policy is None:
            return copy.host not in ledger.incidents
        return record.deletion_policy == "delete"

    def _doubt(self) -> str:
        """Why this may not be the true copy, or not the only one; of old ones it does not matter."""
        if self._old:
            return ""
        copies = self.world.copies[self.ref.name]
        if self.copy.is_on_its_way:
            return f"it is on its way to or from {self.copy.host}"
        if len(copies) > 1:
            return f"there are copies on {' and '.join(copy.host for copy in copies)}; undefine the stale one first"
        placement = self.world.ledger.placements.get(self.ref.name)
        if placement is None and self.world.never_seen and not self.copy.domain.active:
            return f"{', '.join(self.world.never_seen)} was never read with this ledger and may run it"
        if placement is None or placement.host in self.world.inventory.hosts or self.copy.domain.active:
            return ""
        return f"it was placed on {placement.host}, which can't be read, and may run there"

    def _doubt_about_disks(self) -> str:
        """Why its disks must not be deleted, or could not be found later; losing track of them would be for good."""
        for disk in self._own_disks():
            pool_name = self._pool_of(disk)
            if pool_name is None:
                return f"its disk {disk.path} is in no pool of the specs, and deletionPolicy is delete"
            pool = self.world.observed_pool(pool_name, self.copy.host)
            if pool is None or pool.volumes is None:
                return f"pool {pool_name}, whose volumes are to be deleted, could not be read"
            unseen = self.world.out_of_sight(pool_name)
            if unseen:
                return f"{', '.join(unseen)} can't be read and may use its disks in the shared pool {pool_name}"
            for place in self.world.foreign.paths.get(disk.path, ()):
                if place.host == self.copy.host or self.world.is_shared(pool_name):
                    return f"domain {place.domain} on {place.host} refers to its disk {disk.path}"
            overlays = [found.name for found in pool.volumes.values() if found.backing_path == disk.path]
            if overlays:
                return f"its disk {disk.path} is the base of {min(overlays)}"
        return ""

    def _own_disks(self) -> Iterator[DiskConfig]:
        prefix = f"{self.world.fleet}.{self.copy.mark.made_as}."
        domain = self.copy.domain
        for config in (domain.config, domain.live):
            for disk in config.disks if config else ():
                if disk.path.rpartition("/")[2].startswith(prefix):
                    yield disk

    def _pool_of(self, disk: DiskConfig) -> str | None:
        folder = disk.path.rpartition("/")[0]
        pools = self.world.inventory.hosts[self.copy.host].pools
        return next(
            (
                name
                for name in sorted(self.world.desired.pools)
                if name in pools and pools[name].target.rstrip("/") == folder
            ),
            None,
        )

    def _remove(self) -> None:
        domain, after = self.copy.domain, []
        if domain.active:
            stop = StopDomain(
                domain=domain.name, uuid=domain.uuid, timeout=self.world.policy.shutdown_timeout, force=True
            )
            after.append(self._act(stop, "shut down"))
        volumes = self._volumes()
        if domain.persistent:
            undefine = UndefineDomain(
                domain=domain.name, uuid=domain.uuid, keep_nvram=not self._losing, keeps=self._keeps()
            )
            after = [self._act(undefine, self._undefine_words(undefine.keeps), after=after)]
        for host, pool, volume in volumes:
            seed = volume.endswith(".iso")
            self.draft.act(
                DeleteVolume(pool=pool, volume=volume),
                target=self.ref,
                host=host,
                sign="destroy",
                why="removed",
                detail=f"delete volume {volume}",
                disruption="destroy" if seed else "data-loss",
                after=after,
                part=volume,
            )

    def _undefine_words(self, keeps: KeptParts | None) -> str:
        if self._losing:
            return "undefine"
        if keeps is None:
            return f"undefine the old copy (epoch {self.copy.mark.epoch}); its disks are kept"
        if not keeps.volumes:
            return "undefine; it has no disks"
        until = utc(self.world.now + keeps.retention)
        return f"undefine; its disks are kept until {until}, {span(keeps.retention)}: put its spec back before that"

    def _keeps(self) -> KeptParts | None:
        """Every volume of the VM that is in sight from here, but for what was never finished or is kept already."""
        if self._losing or self._old:
            return None
        host, world = self.copy.host, self.world
        known = {place for stone in world.ledger.tombstones for place in stone.volumes if stone.kind == "replaced"}
        volumes = []
        for pool in sorted(world.desired.pools):
            observed = world.observed_pool(pool, host) if world.pool_serves(pool, host) else None
            for name in sorted(observed.volumes or {}) if observed is not None else ():
                owner = owner_of(world.fleet, name)
                is_its = owner is not None and owner.vm == self.copy.mark.made_as and (pool, name) not in known
                if is_its and not world.is_unfinished(pool, name, host):
                    volumes.append((pool, name))
        config = self.copy.domain.config
        return KeptParts(
            tuple(volumes),
            tuple(nic.mac for nic in config.nics),
            config.firmware != "bios",
            world.policy.tombstone_retention,
        )

    def _act(self, step: StopDomain | UndefineDomain, detail: str, *, after: list[str] | None = None) -> str:
        return self.draft.act(
            step,
            target=self.ref,
            host=self.copy.host,
            sign="destroy",
            why="removed",
            detail=detail,
            disruption="data-loss" if self._losing else "destroy",
            changes=(FieldChange("state", self.copy.domain.state, "removed", "destroy"),)
            if isinstance(step, UndefineDomain)
            else (),
            after=after or (),
        )

    def _volumes(self) -> list[tuple[str, str, str]]:
        """Host, pool and name of the VM's own volumes that go with it: none, or its disks and seeds.

        Another old copy may have the same seed: that goes once none is left.
        """
        if not self._losing:
            return []
        domain = self.copy.domain
        paths = {config.seed.path for config in (domain.config, domain.live) if config and config.seed}
        paths |= {disk.path for disk in self._own_disks()}
        prefix = f"{self.world.fleet}.{self.copy.mark.made_as}."
        found = []
        for pool_name in sorted(self.world.desired.pools):
            pool: ObservedPool | None = self.world.observed_pool(pool_name, self.copy.host)
            if pool is None or pool.volumes is None or self.world.is_paused(ObjectRef("StoragePool", pool_name)):
                continue
            host = self.world.storage_host(pool_name, self.copy.host)
            found += [
                (host, pool_name, name)
                for name, volume in sorted(pool.volumes.items())
                if name.startswith(prefix)
                and volume.path in paths
                and not self._is_used_by_others(volume.path, pool_name)
            ]
        return found

    def _is_used_by_others(self, path: str, pool: str) -> bool:
        """Whether somebody's domain, such as a clone of this one, refers to it: a seed goes once nobody does."""
        places = self.world.foreign.paths.get(path, ())
        return any(place.host == self.copy.host or self.world.is_shared(pool) for place in places)

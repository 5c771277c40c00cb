"""Pools: defined, started and autostarted where the specs say; existing ones used as they are."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from reconciler.model import identity
from reconciler.model.inventory import HostInventory, ObservedPool
from reconciler.model.plan import FieldChange, UnmetReason
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import DefinePool, PoolConfig, StartPool
from reconciler.model.storage_pool import StoragePool
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import HELD, Facilities, on_off, reports_held
from reconciler.planner.vm_domain import PoolOnHost
from reconciler.planner.world import World

BLOCK_TYPES: Final = ("logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath")
"""Pool types whose volumes are block devices."""


def plan_pools(world: World, facilities: Facilities, draft: Draft) -> None:
    """Bring the pools to the hosts that were read."""
    for _, pool in sorted(world.desired.pools.items()):
        for name, host in world.inventory.hosts.items():
            if world.pool_serves(pool.name, name):
                _PoolPlanner(world, draft, facilities, pool, host).plan()


class _PoolPlanner(Struct, frozen=True):
    world: World
    draft: Draft
    facilities: Facilities
    pool: StoragePool
    host: HostInventory

    @property
    def key(self) -> tuple[str, str]:
        return (self.pool.name, self.host.name)

    def plan(self) -> None:
        observed = self.host.pools.get(self.pool.name)
        if observed is None:
            self._absent()
        elif observed.uuid == identity.pool_uuid(self.world.fleet, self.pool.name):
            self._ours(observed)
        else:
            self._theirs(observed)

    def _absent(self) -> None:
        spec = self.pool.spec
        if spec.type == "existing":
            self._trouble(
                "pool-unavailable",
                f"{self.host.name} has no pool named {self.pool.name}",
                "define it there, or give the StoragePool a type and target",
            )
            return
        volume_group = spec.source.volume_group or self.pool.name if spec.type == "logical" else None
        target = spec.target or f"/dev/{volume_group}"
        self._serve(target)
        self._act(
            DefinePool(
                PoolConfig(
                    name=self.pool.name,
                    uuid=identity.pool_uuid(self.world.fleet, self.pool.name),
                    type=spec.type,
                    target=target,
                    source_host=spec.source.host,
                    source_dir=spec.source.dir,
                    volume_group=volume_group,
                )
            ),
            created=True,
            detail=f"{spec.type} pool at {target}",
        )

    def _ours(self, observed: ObservedPool) -> None:
        spec = self.pool.spec
        if spec.target is not None and observed.target.rstrip("/") != spec.target.rstrip("/"):
            change = FieldChange("target", observed.target, spec.target, "data-loss")
            self._trouble(
                "immutable",
                f"target is {observed.target} and can't be changed to {spec.target}: volumes would be left behind",
                f"put target: {observed.target} back, or make a new StoragePool",
                change,
            )
            return
        if spec.type not in ("existing", observed.type):
            self._trouble(
                "immutable",
                f"it is a {observed.type} pool and can't be made a {spec.type} one: volumes would be left behind",
                f"put type: {observed.type} back, or make a new StoragePool",
                FieldChange("type", observed.type, spec.type, "data-loss"),
            )
            return
        self._serve(observed.target)
        if not observed.active or not observed.autostart:
            changes = on_off(observed.active, observed.autostart)
            self._act(
                StartPool(self.pool.name, start=not observed.active, autostart=True),
                created=False,
                detail="start" if not observed.active else "autostart",
                changes=changes,
            )

    def _theirs(self, observed: ObservedPool) -> None:
        spec = self.pool.spec
        if spec.target is not None and observed.target.rstrip("/") != spec.target.rstrip("/"):
            self._trouble(
                "conflict",
                f"{self.host.name} has another pool of that name, at {observed.target}",
                "rename the StoragePool, or write type: existing to use that one",
            )
        elif not observed.active:
            self._trouble(
                "pool-unavailable",
                f"the existing pool on {self.host.name} is not active",
                f"virsh -c {self._uri()} pool-start {self.pool.name}",
            )
        else:
            self._serve(observed.target)

    def _uri(self) -> str:
        return self.world.desired.hosts[self.host.name].spec.uri

    def _serve(self, target: str) -> None:
        observed = self.host.pools.get(self.pool.name)
        kind = observed.type if observed else self.pool.spec.type
        self.facilities.pools.setdefault(self.host.name, {})[self.pool.name] = PoolOnHost(
            target, block=kind in BLOCK_TYPES
        )

    def _trouble(self, reason: UnmetReason, detail: str, hint: str, *changes: FieldChange) -> None:
        self.facilities.trouble["StoragePool", self.pool.name, self.host.name] = detail
        self.draft.wait(
            ObjectRef("StoragePool", self.pool.name),
            reason,
            detail,
            severity="blocked",
            host=self.host.name,
            hint=hint,
            changes=changes,
        )

    def _act(
        self,
        step: DefinePool | StartPool,
        *,
        created: bool,
        detail: str,
        changes: tuple[FieldChange, ...] = (),
    ) -> None:
        if reports_held(self.world, self.draft, ObjectRef("StoragePool", self.pool.name), self.host.name):
            if isinstance(step, DefinePool) or step.start:
                self.facilities.pools[self.host.name].pop(self.pool.name)
                self.facilities.trouble["StoragePool", self.pool.name, self.host.name] = HELD
            return
        self.facilities.pool_actions[self.key] = self.draft.act(
            step,
            target=ObjectRef("StoragePool", self.pool.name),
            host=self.host.name,
            sign="create" if created else "change",
            why="missing" if created else "drift",
            detail=detail,
            changes=changes,
        )

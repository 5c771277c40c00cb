"""The cloud-init seed of one VM: a changed one is another volume, and one that is whole stays as it is."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.domain import DiskConfig
from reconciler.model.inventory import ObservedDomain, ObservedPool
from reconciler.model.plan import Sign
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import WriteSeed
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.vm_domain import seed_content, seed_name
from reconciler.planner.world import World


class SeedPlanner(Struct, frozen=True):
    """Plans the seed of `vm` on `host`; `domain` is the VM's copy there, if it has one."""

    world: World
    facilities: Facilities
    draft: Draft
    vm: VirtualMachine
    host: str
    domain: ObservedDomain | None
    sign: Sign

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    def prepare(self, wanted: DiskConfig) -> tuple[str, ...]:
        """Actions that must succeed before the domain can refer to the seed `wanted`."""
        pool_name = self.vm.spec.disks[0].pool
        storage = self.world.storage_host(pool_name, self.host)
        pool = self.world.observed_pool(pool_name, self.host)
        volume = wanted.path.rpartition("/")[2]
        if self._has_seed(pool, pool_name, volume, storage):
            return ()
        content = seed_content(self.world.fleet, self.vm)
        # A seed of before that is to be left alone can't be made again: what it said is not known any more.
        if content is None or volume != seed_name(self.world.fleet, self.vm):
            return ()
        ready = self.facilities.pool_actions.get((pool_name, storage))
        write = self.draft.act(
            WriteSeed(pool=pool_name, volume=volume, content=content),
            target=self.target,
            host=storage,
            sign=self.sign,
            why="missing",
            detail="cloud-init seed",
            after=(ready,) if ready else (),
        )
        return (write,)

    def _has_seed(self, pool: ObservedPool | None, pool_name: str, volume: str, storage: str) -> bool:
        """Whether the seed is there and whole, or was when its pool was last active."""
        configs = (self.domain.config, self.domain.live) if self.domain else ()
        attached = any(config and config.seed and config.seed.path.endswith(f"/{volume}") for config in configs)
        if pool is None or pool.volumes is None:
            return attached
        return volume in pool.volumes and (attached or not self.world.is_unfinished(pool_name, volume, storage))

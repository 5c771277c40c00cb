"""What of a running VM's disks goes with it to another host: local ones are copied, shared ones are there already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.domain import DiskConfig
from reconciler.model.inventory import ObservedVolume
from reconciler.model.migration import DiskCopy
from reconciler.model.quantities import approximate_size
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.image_distribution import Base, ensure_base, image_digest
from reconciler.planner.ownership import Copy
from reconciler.planner.seeds import SeedPlanner
from reconciler.planner.vm_domain import seed_name
from reconciler.planner.world import World


class LocalDisk(Struct, frozen=True):
    """A disk that is on its host alone."""

    config: DiskConfig
    pool: str
    volume: ObservedVolume


class MovingDisks(Struct, frozen=True):
    """The disks of `vm`, which runs as `copy`."""

    world: World
    facilities: Facilities
    vm: VirtualMachine
    copy: Copy

    def why_stuck(self) -> str:
        """Why they can go to no other host; empty if they can."""
        live = self.copy.domain.running_config
        if _paths(live.disks) != _paths(self.copy.domain.config.disks):
            return "its definition has other disks than its guest; restart it first"
        for disk in (*live.disks, *self._seeds()):
            pool = self._pool_of(disk)
            if pool is None:
                return f"its disk {self.names((disk,))[0]} is {disk.path}, which is in no pool of the specs"
            if not disk.read_only and not self.world.is_shared(pool) and self._volume(pool, disk) is None:
                return f"its disk {self.names((disk,))[0]} could not be read in pool {pool} on {self.copy.host}"
        seed = self._local_seed()
        if seed is not None and _name(seed) != seed_name(self.world.fleet, self.vm):
            return "its local seed is of an earlier spec and can't be made again on another host"
        return ""

    def why_not_on(self, host: str) -> str:
        """Why `host` can't take them; empty if it can."""
        for pool in {disk.pool for disk in self.local()}:
            there = self.world.observed_pool(pool, host)
            if there is None or there.volumes is None:
                return f"pool {pool} could not be read"
            needed = sum(disk.volume.allocation for disk in self.local() if disk.pool == pool)
            if needed > there.available:
                return f"pool {pool} −{approximate_size(needed - there.available)}"
        for disk in self.local():
            there = self.world.observed_pool(disk.pool, host)
            # One that an earlier move had begun to fill is collected first: never beside a move that makes it anew.
            if there is not None and disk.volume.name in (there.volumes or {}):
                return f"a volume {disk.volume.name} is there already"
        return ""

    def local(self) -> tuple[LocalDisk, ...]:
        """Those that are copied, in order."""
        return tuple(self._local())

    def names(self, configs: Iterable[DiskConfig]) -> list[str]:
        """What their spec calls them; by their device what it does not have."""
        named = {volume: name for name, volume in self.world.disk_volumes(self.vm).items()}
        return [named.get(_name(config), config.target) for config in configs]

    def _local(self) -> Iterator[LocalDisk]:
        for disk in self.copy.domain.running_config.disks:
            pool = self._pool_of(disk)
            volume = None if pool is None or self.world.is_shared(pool) else self._volume(pool, disk)
            if pool is not None and volume is not None:
                yield LocalDisk(disk, pool, volume)

    @property
    def has_shared(self) -> bool:
        """Whether a disk that is written to is in a pool that the specs call shared."""
        live = self.copy.domain.running_config
        return any((pool := self._pool_of(disk)) is not None and self.world.is_shared(pool) for disk in live.disks)

    def copies(self, draft: Draft, host: str) -> tuple[tuple[DiskCopy, ...], tuple[str, ...]]:
        """How they come to `host`, and the actions that have to come first: bases, and the seed."""
        local, after = self.local(), list[str]()
        bases = {disk.config.target: self._base(draft, disk, host) for disk in local}
        # libvirt sends of all disks either the top of the chain or all of it.
        linked = all(bases[disk.config.target] is not None for disk in local if disk.volume.backing_path)
        made = []
        for disk in local:
            base = bases[disk.config.target] if linked else None
            after += base.after if base is not None else ()
            made.append(
                DiskCopy(
                    device=disk.config.target,
                    pool=disk.pool,
                    volume=disk.volume.name,
                    format=disk.config.format,
                    capacity=disk.volume.capacity,
                    target_path=self.facilities.pools_on(host)[disk.pool].path(disk.volume.name),
                    base=base.volume if base is not None else None,
                )
            )
        after += self._seed(draft, host)
        return tuple(made), tuple(dict.fromkeys(after))

    def other_paths(self, host: str) -> tuple[tuple[str, str], ...]:
        """Device and file of what has another path on `host`, but for what is copied."""
        copied = {disk.config.target for disk in self.local()}
        found = []
        for disk in (*self.copy.domain.running_config.disks, *self._seeds()):
            pool = self._pool_of(disk)
            path = "" if pool is None else self.facilities.pools_on(host)[pool].path(_name(disk))
            if pool is not None and path != disk.path and disk.target not in copied:
                found.append((disk.target, path))
        return tuple(found)

    def _base(self, draft: Draft, disk: LocalDisk, host: str) -> Base | None:
        """The base that it stands on, on `host`; None where it has none, or that can't be had: then all is copied."""
        backing = disk.volume.backing_path
        if backing is None:
            return None
        name = backing.rpartition("/")[2]
        for spec in self.vm.spec.disks:
            digest = image_digest(self.world, spec.image) if spec.image else None
            if digest is None or spec.image is None or spec.pool != disk.pool:
                continue
            if (
                identity.base_volume(self.world.fleet, digest, self.world.desired.images[spec.image].spec.format)
                == name
            ):
                found = ensure_base(self.world, self.facilities, draft, spec.image, disk.pool, host)
                return found if isinstance(found, Base) else None
        return None

    def _seed(self, draft: Draft, host: str) -> tuple[str, ...]:
        seed = self._local_seed()
        if seed is None:
            return ()
        pool = self._pool_of(seed) or ""
        path = self.facilities.pools_on(host)[pool].path(_name(seed))
        # One that it left there before, or that was written for a move that failed, is not collected under it.
        draft.drop(f"delete-volume:StoragePool/{pool}:{_name(seed)}@{host}")
        planner = SeedPlanner(self.world, self.facilities, draft, self.vm, host, None, "move")
        return planner.prepare(replace(seed, path=path))

    def _seeds(self) -> tuple[DiskConfig, ...]:
        seed = self.copy.domain.running_config.seed
        return () if seed is None else (replace(seed, read_only=True),)

    def _local_seed(self) -> DiskConfig | None:
        for seed in self._seeds():
            pool = self._pool_of(seed)
            if pool is not None and not self.world.is_shared(pool):
                return seed
        return None

    def _pool_of(self, disk: DiskConfig) -> str | None:
        folder = disk.path.rpartition("/")[0]
        pools = self.facilities.pools_on(self.copy.host)
        return next((name for name in sorted(pools) if pools[name].target.rstrip("/") == folder), None)

    def _volume(self, pool: str, disk: DiskConfig) -> ObservedVolume | None:
        observed = self.world.observed_pool(pool, self.copy.host)
        return (observed.volumes or {}).get(_name(disk)) if observed is not None else None


def _paths(disks: tuple[DiskConfig, ...]) -> frozenset[str]:
    return frozenset(disk.path for disk in disks)


def _name(disk: DiskConfig) -> str:
    return disk.path.rpartition("/")[2]

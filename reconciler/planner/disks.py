"""Volumes of one VM: made when missing, kept when there, grown, never shrunk."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import identity
from reconciler.model.domain import DomainConfig
from reconciler.model.inventory import ObservedDomain, ObservedVolume
from reconciler.model.ledger import VolumeIntent
from reconciler.model.plan import FieldChange, Sign
from reconciler.model.quantities import approximate_size, format_size
from reconciler.model.resource import ObjectRef
from reconciler.model.seed import seed_hash
from reconciler.model.steps import CreateVolume, GrowDisk, GrowVolume, WriteSeed
from reconciler.model.virtual_machine import Disk, VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.image_distribution import NoBase, ensure_base
from reconciler.planner.vm_domain import seed_content
from reconciler.planner.world import World


@dataclass(frozen=True, slots=True)
class DiskPlanner:
    """Plans the volumes of `vm` on `host`; `domain` is the VM's copy there, if it has one."""

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

    def prepare(self, config: DomainConfig) -> tuple[str, ...] | None:
        """Actions that must succeed before the domain can be defined as `config`; None if a disk can't be had now."""
        before: list[str] = []
        usable = True
        for disk in self.vm.spec.disks:
            made = self._disk(disk)
            if made is None:
                usable = False
            else:
                before += made
        if config.seed is not None:
            before += self._seed(config)
        return tuple(before) if usable else None

    def _disk(self, disk: Disk) -> tuple[str, ...] | None:
        volume = identity.disk_volume(self.world.fleet, self.vm.name, disk.name, disk.format)
        storage = self.world.storage_host(disk.pool, self.host)
        pool = self.world.observed_pool(disk.pool, self.host)
        partial = any((intent.pool, intent.volume) == (disk.pool, volume) for intent in self.world.ledger.intents)
        there = pool.volumes.get(volume) if pool is not None and pool.volumes is not None else None
        if there is not None and not partial:
            return self._keep(disk, there, storage)
        if pool is not None and pool.active and pool.volumes is None:
            self._wait(f"volumes of pool {disk.pool} could not be read on {storage}")
            return None
        if there is None and self._in_use(disk, volume):
            self._wait(
                f"disk {disk.name} is part of the running VM, but its volume {volume} is not in pool {disk.pool}",
                hint=f"virsh -c {self._uri(storage)} vol-list {disk.pool}; restore the file before the VM stops",
            )
            return None
        return self._create(disk, volume, storage, partial=partial and there is not None)

    def _in_use(self, disk: Disk, volume: str) -> bool:
        """A VM that has the disk must never be given an empty one in its place."""
        if self.domain is None:
            return False
        live = self.domain.live
        return (
            live is not None
            and any(known.path.rsplit("/", 1)[-1] == volume for known in live.disks)
            and disk.name is not None
        )

    def _keep(self, disk: Disk, there: ObservedVolume, storage: str) -> tuple[str, ...]:
        if disk.size is None or there.capacity == disk.size:
            return ()
        change = FieldChange(f"disks[{disk.name}].size", format_size(there.capacity), format_size(disk.size), "live")
        if there.capacity > disk.size:
            self.draft.wait(
                self.target,
                "immutable",
                f"disk {disk.name} is {format_size(there.capacity)}; making it smaller would cut off data",
                severity="blocked",
                host=self.host,
                hint=f"write size: {format_size(there.capacity)}",
                changes=(change,),
            )
            return ()
        return (self._grow(disk, there, storage, change),)

    def _grow(self, disk: Disk, there: ObservedVolume, storage: str, change: FieldChange) -> str:
        assert disk.size is not None  # noqa: S101  the caller compared it
        running = self.domain is not None and self.domain.active
        attached = (
            running
            and self.domain is not None
            and self.domain.live is not None
            and any(known.path == there.path for known in self.domain.live.disks)
        )
        detail = f"grow disk {disk.name}"
        if attached and self.domain is not None:
            step = GrowDisk(domain=self.vm.name, uuid=self.domain.uuid, path=there.path, capacity=disk.size)
            host, disruption = self.host, "live"
        else:
            step = GrowVolume(pool=disk.pool, volume=there.name, capacity=disk.size)  # type: ignore[assignment]
            host, disruption = storage, "none"
        return self.draft.act(
            step,
            target=self.target,
            host=host,
            sign=self.sign,
            why="spec-change",
            detail=detail,
            disruption="live" if disruption == "live" else "none",
            changes=(change,),
            part=disk.name,
        )

    def _create(self, disk: Disk, volume: str, storage: str, *, partial: bool) -> tuple[str, ...] | None:
        after: list[str] = []
        base, base_format, capacity = None, None, disk.size
        if disk.image is not None:
            found = ensure_base(self.world, self.facilities, self.draft, disk.image, disk.pool, self.host)
            if isinstance(found, NoBase):
                self.draft.wait(
                    self.target,
                    "image-unavailable",
                    found.reason,
                    severity="blocked",
                    host=self.host,
                    hint=found.hint,
                )
                return None
            base, after = found.volume, list(found.after)
            base_format = self.world.desired.images[disk.image].spec.format
            facts = self.world.inventory.images.get(disk.image)
            capacity = capacity or (facts.virtual_size if facts else None)
            if not self._fits(disk, facts.virtual_size if facts else None):
                return None
        if capacity is None:
            self.draft.wait(
                self.target,
                "image-unavailable",
                f"disk {disk.name} is as large as image {disk.image}, which is fetched first",
                host=self.host,
            )
            return None
        ready = self.facilities.pool_actions.get((disk.pool, storage))
        if ready:
            after.append(ready)
        origin = f" from {disk.image}" if disk.image else ""
        create = self.draft.act(
            CreateVolume(
                pool=disk.pool,
                volume=volume,
                format=disk.format,
                capacity=capacity,
                base=base,
                base_format=base_format,
                clone=disk.clone,
                replace_partial=partial,
            ),
            target=self.target,
            host=storage,
            sign=self.sign,
            why="incomplete" if partial else "missing",
            detail=f"disk {disk.name} {approximate_size(capacity)}{origin}",
            after=after,
            part=disk.name,
        )
        return (create,)

    def _fits(self, disk: Disk, image_size: int | None) -> bool:
        if disk.size is None or image_size is None or disk.size >= image_size:
            return True
        self.draft.wait(
            self.target,
            "spec-invalid",
            f"disk {disk.name} is {format_size(disk.size)}, but image {disk.image} needs {format_size(image_size)}",
            severity="blocked",
            host=self.host,
            hint=f"write size: {format_size(image_size)} or more, or leave size out",
        )
        return False

    def _seed(self, config: DomainConfig) -> tuple[str, ...]:
        content = seed_content(self.world.fleet, self.vm)
        if content is None or config.seed is None:
            return ()
        pool_name = self.vm.spec.disks[0].pool
        storage = self.world.storage_host(pool_name, self.host)
        volume = identity.seed_volume(self.world.fleet, self.vm.name, seed_hash(content))
        if config.seed.path.rsplit("/", 1)[-1] != volume:
            return ()
        pool = self.world.observed_pool(pool_name, self.host)
        partial = VolumeIntent(pool_name, volume, storage) in self.world.ledger.intents
        if pool is not None and pool.volumes is not None and volume in pool.volumes and not partial:
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

    def _wait(self, detail: str, hint: str = "") -> None:
        self.draft.wait(self.target, "pool-unavailable", detail, severity="blocked", host=self.host, hint=hint)

    def _uri(self, host: str) -> str:
        return self.world.desired.hosts[host].spec.uri

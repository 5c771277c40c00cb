"""Disks of one VM: made when missing, kept when there, grown, never shrunk, never moved."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from reconciler.model import identity
from reconciler.model.domain import DiskConfig, DomainConfig
from reconciler.model.inventory import ObservedDomain, ObservedPool, ObservedVolume
from reconciler.model.plan import FieldChange, Sign, UnmetReason
from reconciler.model.quantities import approximate_size, format_size
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import CreateVolume, GrowDisk, GrowVolume
from reconciler.model.virtual_machine import Disk, VirtualMachine
from reconciler.planner.damaged_disks import damage_of, is_mounted, report_damaged
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.image_distribution import Base, NoBase, ensure_base, image_digest
from reconciler.planner.seeds import SeedPlanner
from reconciler.planner.version_disks import Held, held_for
from reconciler.planner.version_sources import NoVersion
from reconciler.planner.world import World


class DiskPlanner(Struct, frozen=True):
    """Plans the volumes of `vm` on `host`; `domain` is the VM's copy there, if it has one."""

    world: World
    facilities: Facilities
    draft: Draft
    vm: VirtualMachine
    host: str
    domain: ObservedDomain | None
    sign: Sign
    replaced: frozenset[str] = frozenset()
    """Disks that get another volume, which others see to."""
    lost: str | None = None
    """The dead host that it was on: its shared disks must be there, its local ones are gone with that host."""

    @property
    def target(self) -> ObjectRef:
        return ObjectRef("VirtualMachine", self.vm.name)

    def prepare(self, config: DomainConfig) -> tuple[str, ...] | None:
        """Actions that must succeed before the domain can be defined as `config`; None if a disk can't be had now."""
        before: list[str] = []
        usable = True
        for disk, wanted in zip(self.vm.spec.disks, config.disks, strict=True):
            if disk.name in self.replaced:
                continue
            made = self._disk(disk, wanted)
            if made is None:
                usable = False
            else:
                before += made
        if usable and config.seed is not None:
            before += SeedPlanner(
                self.world, self.facilities, self.draft, self.vm, self.host, self.domain, self.sign
            ).prepare(config.seed)
        return tuple(before) if usable else None

    def _disk(self, disk: Disk, wanted: DiskConfig) -> tuple[str, ...] | None:
        elsewhere = self._attached_from_elsewhere(disk, wanted)
        if elsewhere is not None:
            self._refuse_move(disk, elsewhere)
            return None
        storage = self.world.storage_host(disk.pool, self.host)
        pool = self.world.observed_pool(disk.pool, self.host)
        volume = self.world.disk_volume(self.vm.name, disk)
        attached = self._is_attached(wanted.path)
        if volume == disk.volume and not attached and not self._may_be_had(disk, pool):
            return None
        if pool is None or not pool.active:
            return self._without_pool(disk, volume, storage, attached=attached)
        if pool.volumes is None:
            self._wait("pool-unavailable", f"volumes of pool {disk.pool} could not be read on {storage}")
            return None
        there = pool.volumes.get(volume)
        # What a domain refers to was finished once, whatever the ledger remembers: it is never replaced.
        partial = there is not None and not attached and self.world.is_unfinished(disk.pool, volume, storage)
        if there is not None and not partial:
            return self._keep(disk, there, storage)
        return self._make_anew(disk, volume, storage, attached=attached, partial=partial)

    def _without_pool(self, disk: Disk, volume: str, storage: str, *, attached: bool) -> tuple[str, ...] | None:
        if attached:
            return self._await_pool(disk, storage)
        return None if self._is_left_elsewhere(disk, volume) else self._create(disk, volume, storage)

    def _make_anew(
        self, disk: Disk, volume: str, storage: str, *, attached: bool, partial: bool
    ) -> tuple[str, ...] | None:
        """Create the volume, unless the VM had the disk already: then a new one must not take its place."""
        if (
            attached
            or volume == disk.volume
            or (self.lost is not None and not partial and self.world.is_shared(disk.pool))
        ):
            self._report_lost(disk, volume, storage)
            return None
        if not partial and self._is_left_elsewhere(disk, volume):
            return None
        return self._create(disk, volume, storage, partial=partial)

    # -- what the VM already has -----------------------------------------------------------------------------------
    def _attached_disks(self) -> Iterator[DiskConfig]:
        if self.domain is not None:
            yield from self.domain.config.disks
            if self.domain.live is not None and self.domain.live.disks != self.domain.config.disks:
                yield from self.domain.live.disks

    def _is_attached(self, path: str) -> bool:
        """A VM that has the disk, now or at its next boot, must never be given an empty one in its place."""
        return any(known.path == path for known in self._attached_disks())

    def _attached_from_elsewhere(self, disk: Disk, wanted: DiskConfig) -> str | None:
        """Path of the same disk in another pool or format; None if there is none, or it is where it should be."""
        name = f"/{self.world.fleet}.{self.vm.metadata.origin}.{disk.name}."
        paths = [known.path for known in self._attached_disks() if name in known.path]
        return None if not paths or wanted.path in paths else paths[0]

    def _may_be_had(self, disk: Disk, pool: ObservedPool | None) -> bool:
        """Whether the VM was adopted with the volume: what is somebody else's is not had by naming it in a spec."""
        if self.world.ledger.disk_volumes.get((self.vm.name, disk.name)) == disk.volume:
            if pool is None or not pool.active:
                self._wait("pool-unavailable", f"pool {disk.pool}, which has disk {disk.name}, is not active")
            return pool is not None and pool.active
        self._wait(
            "disk-not-its-own",
            f"disk {disk.name} is volume {disk.volume} of pool {disk.pool}, which this VM never had; a volume that is"
            " there is used by the VM that it was adopted with alone",
            "leave volume out for a new disk, or adopt the domain that has it",
        )
        return False

    def _is_left_elsewhere(self, disk: Disk, volume: str) -> bool:
        """Whether the VM had this disk before in another pool or format, though it is not attached now; says so."""
        if self.domain is None and self.vm.name not in self.world.ledger.placements:
            return False
        names = [
            identity.disk_volume(self.world.fleet, self.vm.metadata.origin, disk.name, kind)
            for kind in ("qcow2", "raw")
        ]
        for pool_name in sorted(self.facilities.pools_on(self.host)):
            pool = self.world.observed_pool(pool_name, self.host)
            for name in names:
                if pool and pool.volumes and name in pool.volumes and (pool_name, name) != (disk.pool, volume):
                    self._refuse_move(disk, pool.volumes[name].path)
                    return True
        return False

    def _refuse_move(self, disk: Disk, path: str) -> None:
        folder, _, name = path.rpartition("/")
        pools = self.facilities.pools_on(self.host)
        pool = next((known for known in sorted(pools) if pools[known].target.rstrip("/") == folder), folder)
        kind = name.rpartition(".")[2]
        moved = pool != disk.pool
        old, new = (pool, disk.pool) if moved else (kind, disk.format)
        field = "pool" if moved else "format"
        self.draft.wait(
            self.target,
            "immutable",
            f"disk {disk.name} is in pool {pool}; moving it is not done"
            if moved
            else f"disk {disk.name} is {kind}; converting it is not done",
            severity="blocked",
            host=self.host,
            hint=f"put {field}: {old} back, or give the new disk another name",
            changes=(FieldChange(f"disks[{disk.name}].{field}", old, new, "data-loss"),),
        )

    def _await_pool(self, disk: Disk, storage: str) -> tuple[str, ...] | None:
        """The disk is in a pool that is not active: it is looked at once the pool is back."""
        ready = self.facilities.pool_actions.get((disk.pool, storage))
        if ready is None:
            self._wait("pool-unavailable", f"pool {disk.pool}, which has disk {disk.name}, is not active on {storage}")
            return None
        return (ready,)

    def _report_lost(self, disk: Disk, volume: str, storage: str) -> None:
        hint = f"look whether the storage is mounted: virsh -c {self._uri(storage)} vol-list {disk.pool}"
        if self.domain is not None:
            hint += f"; to have it made anew, its data lost: {self._away_with_it()}"
        what = f"its volume {volume} is not in pool {disk.pool}; an empty one is not put in its place"
        if is_mounted(self.world, self.world.observed_pool(disk.pool, self.host)):
            self._report_damaged(disk, what, hint)
        else:
            self._wait("pool-unavailable", f"disk {disk.name} is part of the VM, but {what}", hint=hint)

    def _report_damaged(self, disk: Disk, what: str, hint: str) -> None:
        report_damaged(self.world, self.draft, self.vm, self.host, disk, (what, hint))

    def _away_with_it(self) -> str:
        """What takes the domain away, so that the VM and its disks are made anew."""
        virsh = f"virsh -c {self._uri(self.host)}"
        runs = self.domain is not None and self.domain.active
        return f"{f'{virsh} destroy {self.vm.name}, then ' if runs else ''}{virsh} undefine {self.vm.name}"

    def _keep(self, disk: Disk, there: ObservedVolume, storage: str) -> tuple[str, ...] | None:
        damage = damage_of(disk, there)
        if damage:
            self._report_damaged(
                disk, damage, f"virsh -c {self._uri(storage)} vol-info {there.name} --pool {disk.pool}"
            )
            return None
        if disk.image is not None and there.backing_path is not None:
            self._report_other_base(disk, disk.image, there.backing_path)
        if there.format != disk.format and not (disk.read_only and there.format == "iso"):
            self._report_disguised(disk, there.format)
            return ()
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
        return (self._grow(disk, disk.size, there, storage, change),)

    def _report_other_base(self, disk: Disk, image: str, backing: str) -> None:
        """An image that changed is for new disks; that this one stays as it is, is said."""
        digest = image_digest(self.world, image)
        if digest is None:
            return
        kind = self.world.desired.images[image].spec.format
        base, used = identity.base_volume(self.world.fleet, digest, kind), backing.rpartition("/")[2]
        if used != base:
            self.draft.wait(
                self.target,
                "immutable",
                f"disk {disk.name} was made from another image than {image} is now, and stays as it is",
                severity="info",
                host=self.host,
                hint="a new VM, or a disk of another name, gets the image as it is now",
                changes=(FieldChange(f"disks[{disk.name}].image", used, base, "rebuild"),),
            )

    def _report_disguised(self, disk: Disk, found: str) -> None:
        """The host's libvirt says what the guest wrote: neither its format nor its size is believed."""
        self.draft.wait(
            self.target,
            "disk-disguised",
            f"disk {disk.name} is {disk.format}, and its content passes for {found}: it is used as {disk.format},"
            " how large it is is not known, and it is not grown",
            severity="info",
            host=self.host,
            hint="look into the guest: something wrote the header of a disk image to the start of that disk",
        )

    def _grow(self, disk: Disk, size: int, there: ObservedVolume, storage: str, change: FieldChange) -> str:
        domain = self.domain
        attached = (
            domain is not None
            and domain.live is not None
            and any(known.path == there.path for known in domain.live.disks)
        )
        step: GrowDisk | GrowVolume
        if attached and domain is not None:
            step = GrowDisk(domain=self.vm.name, uuid=domain.uuid, path=there.path, capacity=size)
        else:
            step = GrowVolume(pool=disk.pool, volume=there.name, capacity=size, format=disk.format)
        return self.draft.act(
            step,
            target=self.target,
            host=self.host if attached else storage,
            sign=self.sign,
            why="spec-change",
            detail=f"grow disk {disk.name}",
            disruption="live" if attached else "none",
            changes=(change,),
            part=disk.name,
        )

    # -- what is made ----------------------------------------------------------------------------------------------
    def _create_from(self, held: Held, disk: Disk, volume: str, storage: str, *, partial: bool) -> tuple[str, ...]:
        """A copy of a version, which is its own from then on: a later version changes nothing."""
        ready = self.facilities.pool_actions.get((disk.pool, storage))
        old = held.age(self.world.now)
        lost = (
            ()
            if self.lost is None
            else (FieldChange(f"disks[{disk.name}]", f"on {self.lost}", f"{held.version.name}, {old}", "data-loss"),)
        )
        create = self.draft.act(
            held.step(disk, volume, storage, partial=partial),
            target=self.target,
            host=storage,
            sign=self.sign,
            why="incomplete" if partial else "host-lost" if self.lost else "missing",
            detail=f"make disk {disk.name} from {held.version.name}, {old}",
            disruption="data-loss" if self.lost else "none",
            changes=lost,
            after=(ready,) if ready else (),
            part=disk.name,
        )
        return (create,)

    def _create(self, disk: Disk, volume: str, storage: str, *, partial: bool = False) -> tuple[str, ...] | None:
        held = held_for(self.world, self.vm, disk, lost=self.lost is not None)
        if isinstance(held, NoVersion):
            self._wait("image-unavailable", f"disk {disk.name}: {held.reason}", held.hint)
            return None
        if held is not None:
            return self._create_from(held, disk, volume, storage, partial=partial)
        found = self._base(disk)
        if isinstance(found, NoBase):
            self._wait("image-unavailable", found.reason, found.hint)
            return None
        capacity = disk.size or (found.virtual_size if found else None)
        if capacity is None:
            self.draft.wait(
                self.target,
                "image-unavailable",
                f"disk {disk.name} is as large as image {disk.image}, which is fetched first",
                host=self.host,
            )
            return None
        if found is not None and found.virtual_size is not None and capacity < found.virtual_size:
            self._report_too_small(disk, capacity, found.virtual_size)
            return None
        ready = self.facilities.pool_actions.get((disk.pool, storage))
        origin = f" from {disk.image}" if disk.image else ""
        create = self.draft.act(
            CreateVolume(
                pool=disk.pool,
                volume=volume,
                format=disk.format,
                capacity=capacity,
                base=found.volume if found else None,
                base_format=found.format if found else None,
                clone=disk.clone,
                replace_partial=partial,
            ),
            target=self.target,
            host=storage,
            sign=self.sign,
            why="incomplete" if partial else "host-lost" if self.lost else "missing",
            detail=f"disk {disk.name} {approximate_size(capacity)}{origin}",
            disruption="data-loss" if self.lost else "none",
            changes=self._loss(disk),
            after=(*(found.after if found else ()), *((ready,) if ready else ())),
            part=disk.name,
        )
        return (create,)

    def _loss(self, disk: Disk) -> tuple[FieldChange, ...]:
        """What is given up where a disk is made anew because its host died."""
        if self.lost is None:
            return ()
        fresh = f"new from {disk.image}" if disk.image else "empty"
        return (FieldChange(f"disks[{disk.name}]", f"on {self.lost}", fresh, "data-loss"),)

    def _base(self, disk: Disk) -> Base | NoBase | None:
        if disk.image is None:
            return None
        facts = self.world.inventory.images.get(disk.image)
        if disk.size is not None and facts is not None and facts.virtual_size and disk.size < facts.virtual_size:
            # Nothing is uploaded for a disk that can't be made.
            return Base("", "raw", facts.virtual_size, ())
        return ensure_base(self.world, self.facilities, self.draft, disk.image, disk.pool, self.host)

    def _report_too_small(self, disk: Disk, size: int, needed: int) -> None:
        self._wait(
            "spec-invalid",
            f"disk {disk.name} is {format_size(size)}, but image {disk.image} needs {format_size(needed)}",
            hint=f"write size: {format_size(needed)} or more, or leave size out",
        )

    def _wait(self, reason: UnmetReason, detail: str, hint: str = "") -> None:
        self.draft.wait(self.target, reason, detail, severity="blocked", host=self.host, hint=hint)

    def _uri(self, host: str) -> str:
        return self.world.desired.hosts[host].spec.uri

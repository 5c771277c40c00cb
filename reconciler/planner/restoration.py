"""A restore in place: new volumes from a version, or the replaced ones back, for a VM that is where it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainConfig
from reconciler.model.identity import disk_volume, parse_disk_volume
from reconciler.model.ledger import RestoringDisk
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import FieldChange
from reconciler.model.quantities import format_duration
from reconciler.model.restores import DiskSwap, RestoreDisk, SwitchDisks, done_after, value_of
from reconciler.model.spoken_time import span
from reconciler.model.steps import StartDomain
from reconciler.model.tombstone import Tombstone
from reconciler.model.version import LATEST, ImageVersion, instant_of, stamp_of
from reconciler.model.virtual_machine import Disk, Restore
from reconciler.planner.disks import DiskPlanner
from reconciler.planner.one_copy import OneCopy
from reconciler.planner.power import Power
from reconciler.planner.shutdowns import shut_down
from reconciler.planner.version_sources import NoVersion, find_version, source_of
from reconciler.planner.vm_diff import kept_machine
from reconciler.planner.vm_domain import desired_domain, marked

_KINDS: Final = ("restore-disk", "stop-domain", "switch-disks")


class Swaps(Struct, frozen=True):
    """What the disks are to be: volumes by disk, the actions that make them, and what is to be said of it."""

    swaps: tuple[DiskSwap, ...]
    after: tuple[str, ...]
    source: str
    changes: tuple[FieldChange, ...]
    loss: str
    made: bool


class Restoration(OneCopy, frozen=True):
    """Plans the restore that the spec of `vm` asks for, if it is not done."""

    @property
    def last(self) -> str:
        """What was done last: as its mark or the ledger says, whichever knows more."""
        return self.world.last_restore(self.vm.name, self.copy.mark.restore)

    def plan(self) -> bool:
        """Plan it; False if there is none to do, or none that can be done now, which is said."""
        restore, domain = self.vm.spec.restore, self.copy.domain
        if restore is None or restore.value == value_of(self.last) or not domain.persistent:
            return False
        if domain.state == "shutdown":
            return False
        why_not = self._why_not_now()
        if why_not:
            self._wait(why_not)
            return False
        before = self.draft.checkpoint()
        swaps = self._from_tombstone(restore) if restore.tombstone is not None else self._from_version(restore)
        if isinstance(swaps, NoVersion):
            self.draft.rollback(before)
            self._wait(swaps.reason, swaps.hint)
            return False
        if self._switch(restore, swaps):
            return True
        self.draft.rollback(before)
        return False

    def _why_not_now(self) -> str:
        """What was tried and failed is tried again after a while; the VM is as it was until then."""
        for capture in self.world.ledger.captures.values():
            if capture.vm == self.vm.name:
                return f"it is being captured for Image/{capture.image}"
        for key, failure in self.world.ledger.failures.items():
            kind, _, rest = key.partition(":")
            of_it = rest.startswith((f"{self.target}@", f"{self.target}:"))
            if kind in _KINDS and of_it and failure.waits(self.world.now):
                self.draft.remembered.add(key)
                wait = max(1, round(failure.waits(self.world.now)))
                return f"{failure.message} (next try in {wait} s); the VM is as it was"
        return ""

    def _wait(self, reason: str, hint: str = "") -> None:
        self.draft.wait(
            self.target,
            "restore-waits",
            f"its restore waits: {reason}",
            severity="blocked",
            host=self.copy.host,
            hint=hint or NextCommand("why", str(self.target)),
        )

    # -- what the disks are to be ----------------------------------------------------------------------------------
    def _from_version(self, restore: Restore) -> Swaps | NoVersion:
        begun = self._begun(restore)
        wanted = next((made.source.partition("@")[2] for made in begun.values()), restore.version)
        version = find_version(self.world, restore.image or "", wanted)
        if isinstance(version, NoVersion):
            return version
        disks = [
            disk
            for disk in self.vm.spec.disks
            if (disk.name in restore.disks if restore.disks else version.disk(disk.name) is not None)
        ]
        lacking = [disk.name for disk in disks if version.disk(disk.name) is None]
        if lacking or not disks:
            held = ", ".join(disk.name for disk in version.disks)
            return NoVersion(f"{version.name} has no disk {lacking[0] if lacking else 'of its'} (it has {held})")
        swaps, after = list[DiskSwap](), list[str]()
        for disk in disks:
            made = self._make(disk, version, restore, begun.get(disk.name))
            if isinstance(made, NoVersion):
                return made
            swaps.append(made[0])
            after += made[1]
        age = span(self.world.now - version.taken_at)
        whose = "" if version.vm == self.vm.name else f", which was taken from VirtualMachine/{version.vm}"
        when = f"as of {instant_of(version.stamp)} ({version.consistency}){whose}"
        return Swaps(
            tuple(swaps),
            tuple(after),
            version.name,
            tuple(FieldChange(f"disks[{swap.disk}]", "as it is now", when, "rebuild") for swap in swaps),
            f"what was written in the last {age} is lost",
            made=True,
        )

    def _begun(self, restore: Restore) -> dict[str, RestoringDisk]:
        """By disk: what was made for this very restore, and is on record."""
        known = self.world.ledger.restoring.get(self.vm.name, ())
        return {made.disk: made for made in known if made.value == restore.value}

    def _make(
        self, disk: Disk, version: ImageVersion, restore: Restore, begun: RestoringDisk | None
    ) -> tuple[DiskSwap, tuple[str, ...]] | NoVersion:
        storage = self.world.storage_host(disk.pool, self.copy.host)
        pool = self.world.observed_pool(disk.pool, self.copy.host)
        if pool is None or pool.volumes is None:
            return NoVersion(f"pool {disk.pool} could not be read on {storage}")
        is_begun = begun is not None and (begun.pool, begun.host, begun.source) == (disk.pool, storage, version.name)
        volume = begun.volume if begun is not None and is_begun else self._next_volume(disk)
        swap = DiskSwap(disk.name, disk.pool, storage, self.world.disk_volume(self.vm.name, disk), volume)
        if begun is not None and is_begun and begun.copied and volume in pool.volumes:
            return swap, ()
        source = source_of(self.world, version, disk.name)
        if isinstance(source, NoVersion):
            return source
        held = version.disk(disk.name)
        capacity = max(disk.size or 0, held.virtual_size if held is not None else 0)
        step = RestoreDisk(
            pool=disk.pool,
            volume=volume,
            format=disk.format,
            capacity=capacity,
            disk=disk.name,
            source=source,
            streamed=(source.pool, source.host) != (disk.pool, storage),
            value=restore.value,
            replace_partial=volume in pool.volumes,
        )
        ready = self.facilities.pool_actions.get((disk.pool, storage))
        action = self.draft.act(
            step,
            target=self.target,
            host=storage,
            sign="change",
            why="restore",
            detail=f"make disk {disk.name} from {version.name}",
            after=(ready,) if ready else (),
            part=disk.name,
        )
        return swap, (action,)

    def _next_volume(self, disk: Disk) -> str:
        """A name that no volume of the disk has or had, as far as is known."""
        world, key = self.world, (self.vm.metadata.origin, disk.name)
        names = [world.disk_volume(self.vm.name, disk), world.ledger.disk_volumes.get((self.vm.name, disk.name), "")]
        names += world.restored.get(key, ())
        names += [made.volume for made in world.ledger.restoring.get(self.vm.name, ())]
        names += [volume for tombstone in world.ledger.tombstones for _pool, volume in tombstone.volumes]
        said = [parse_disk_volume(world.fleet, name) for name in names]
        taken = [found.generation for found in said if found is not None and (found.vm, found.disk) == key]
        return disk_volume(world.fleet, self.vm.metadata.origin, disk.name, disk.format, 1 + max(taken, default=0))

    def _from_tombstone(self, restore: Restore) -> Swaps | NoVersion:
        kept = [
            tombstone
            for tombstone in self.world.ledger.tombstones
            if (tombstone.vm, tombstone.kind) == (self.vm.name, "replaced")
        ]
        found = [kept_ for kept_ in kept if restore.tombstone in (LATEST, replaced_at(kept_))]
        if not found:
            known = ", ".join(replaced_at(tombstone) for tombstone in kept)
            return NoVersion(
                f"no disk of it that was replaced is kept ({restore.tombstone})",
                f"kept are those replaced at {known}" if known else "",
            )
        tombstone = found[-1]
        swaps = tuple(self._kept(tombstone, restore))
        if not swaps or {swap.disk for swap in swaps} < set(restore.disks):
            return NoVersion(f"what was replaced at {replaced_at(tombstone)} is not all in sight")
        when = f"as it was when it was replaced, at {replaced_at(tombstone)}"
        return Swaps(
            swaps,
            (),
            f"what was replaced at {replaced_at(tombstone)}",
            tuple(FieldChange(f"disks[{swap.disk}]", "as it is now", when, "rebuild") for swap in swaps),
            f"what was written in the last {span(self.world.now - tombstone.since)} is lost",
            made=False,
        )

    def _kept(self, tombstone: Tombstone, restore: Restore) -> Iterator[DiskSwap]:
        for disk in self.vm.spec.disks:
            pool = self.world.observed_pool(disk.pool, self.copy.host)
            if restore.disks and disk.name not in restore.disks:
                continue
            for pool_name, volume in tombstone.volumes:
                said = parse_disk_volume(self.world.fleet, volume)
                is_it = said is not None and (said.vm, said.disk, said.format) == (
                    self.vm.metadata.origin,
                    disk.name,
                    disk.format,
                )
                if is_it and pool_name == disk.pool and pool is not None and volume in (pool.volumes or {}):
                    storage = self.world.storage_host(disk.pool, self.copy.host)
                    yield DiskSwap(disk.name, disk.pool, storage, self.world.disk_volume(self.vm.name, disk), volume)

    # -- how they come to be ---------------------------------------------------------------------------------------
    def _switch(self, restore: Restore, swaps: Swaps) -> bool:
        domain, world = self.copy.domain, self.world
        new = {swap.disk: swap.new for swap in swaps.swaps}
        config = self._config(new)
        disks = DiskPlanner(
            world, self.facilities, self.draft, self.vm, self.copy.host, domain, "change", replaced=frozenset(new)
        ).prepare(config)
        if disks is None:
            self._wait("another disk of it can't be had")
            return False
        after = [*disks, *swaps.after]
        starts = self._is_to_start()
        if domain.active:
            after = [self._stop(tuple(after))]
        retention = world.policy.tombstone_retention
        kept = f"what it has now is kept for {format_duration(retention)}"
        names = ", ".join(sorted(new))
        done = done_after(self.last, restore.value)
        config = replace(
            marked(
                config,
                self.vm,
                fleet=world.fleet,
                epoch=self._epoch,
                generation=world.desired.generation,
                restore=done,
            ),
            machine=kept_machine(config, domain.config),
        )
        switch = self.draft.act(
            SwitchDisks(
                config=config,
                expect_fingerprint=domain.fingerprint,
                done=done,
                source=swaps.source,
                swaps=swaps.swaps,
                retention=retention,
                starts=starts,
                made=swaps.made,
            ),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="restore",
            detail=f"restore {names} from {swaps.source}: {swaps.loss}; {kept}",
            disruption="rebuild",
            changes=swaps.changes,
            after=after,
        )
        if starts:
            self._start(switch)
        return True

    def _config(self, new: Mapping[str, str]) -> DomainConfig:
        """As the spec has it; the disks keep their places in the guest."""
        old, pools = self.world.disk_volumes(self.vm), self.facilities.pools_on(self.copy.host)
        paths = {
            pools[disk.pool].path(old[disk.name]): pools[disk.pool].path(new[disk.name])
            for disk in self.vm.spec.disks
            if disk.name in new
        }

        def moved(disk: DiskConfig) -> DiskConfig:
            return replace(disk, path=paths.get(disk.path, disk.path))

        observed = self.copy.domain.config
        return desired_domain(
            self.world.fleet,
            self.vm,
            self.world.desired.hosts[self.copy.host],
            pools,
            volumes={**old, **new},
            observed=replace(observed, disks=tuple(moved(disk) for disk in observed.disks)),
        )

    @property
    def _epoch(self) -> int:
        placement = self.world.ledger.placements.get(self.vm.name)
        return max(self.copy.mark.epoch, placement.epoch if placement else 0)

    def _is_to_start(self) -> bool:
        """What ran runs again, and what was only stopped for this."""
        if self.vm.spec.run_strategy == "Halted":
            return False
        placement = self.world.ledger.placements.get(self.vm.name)
        was_stopped = placement is not None and not placement.ran
        power = Power(self.world, self.facilities, self.draft, self.vm, self.copy)
        return self.copy.domain.active or was_stopped or power.is_to_run()

    def _stop(self, after: tuple[str, ...]) -> str:
        domain = self.copy.domain
        return self.draft.act(
            shut_down(self.world, self.vm, domain),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="restore",
            detail="shut down for its restore",
            disruption="reboot",
            changes=(FieldChange("state", domain.state, "shutoff", "reboot"),),
            after=after,
        )

    def _start(self, switch: str) -> None:
        self.draft.act(
            StartDomain(domain=self.vm.name, uuid=self.copy.domain.uuid),
            target=self.target,
            host=self.copy.host,
            sign="change",
            why="restore",
            detail="start",
            disruption="reboot" if self.copy.domain.active else "none",
            after=(switch,),
        )


def replaced_at(tombstone: Tombstone) -> str:
    """What a tombstone is named by: `2026-11-23T21:40:05Z`."""
    return instant_of(stamp_of(tombstone.since))

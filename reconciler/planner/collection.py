"""Volumes of ours that nothing needs any more: unused bases, replaced seeds, what was begun and never finished."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from reconciler.model import identity
from reconciler.model.inventory import ObservedDomain, ObservedVolume
from reconciler.model.ledger import DoomedVolume
from reconciler.model.plan import Why
from reconciler.model.resource import ObjectRef
from reconciler.model.restores import SwitchDisks, value_of
from reconciler.model.steps import DeleteVolume
from reconciler.model.version import instant_of
from reconciler.planner.draft import Draft
from reconciler.planner.image_distribution import image_digest
from reconciler.planner.vm_domain import seed_name
from reconciler.planner.world import World


def plan_collection(world: World, draft: Draft) -> None:
    """Delete what is surely unused; nothing while the specs are uncertain or a host of the pool is out of sight."""
    if world.desired.removal_hold or world.desired.unusable:
        return
    planned = _planned_volumes(draft)
    bases = _wanted_bases(world)
    for name in sorted(world.desired.pools):
        if world.out_of_sight(name) or world.is_paused(ObjectRef("StoragePool", name)):
            continue
        for host in _readers(world, name):
            observed = world.observed_pool(name, host)
            if observed is not None and observed.volumes:
                _Collection(world, draft, host, name, observed.volumes, planned, bases).plan()


def _readers(world: World, pool: str) -> tuple[str, ...]:
    """Hosts through which the volumes of the pool are looked at."""
    if not world.is_shared(pool):
        return world.pool_hosts.get(pool, ())
    return (world.shared_pools[pool],) if pool in world.shared_pools else ()


def _planned_volumes(draft: Draft) -> frozenset[str]:
    """Volumes that the plan is about to make, use or delete."""
    found = (
        getattr(action.step, attribute, None)
        for action in draft.actions.values()
        for attribute in ("volume", "base", "marker")
    )
    switched = (
        swap.new
        for action in draft.actions.values()
        if isinstance(action.step, SwitchDisks)
        for swap in action.step.swaps
    )
    return frozenset({*switched, *(volume for volume in found if isinstance(volume, str))})


def _wanted_bases(world: World) -> frozenset[str] | None:
    """Bases of the images of the specs; None while they can't all be told, or one is on its way."""
    if any(ref.startswith("Image/") for ref in world.ledger.in_flight):
        return None
    found = set()
    for name, image in world.desired.images.items():
        if image.spec.is_captured:
            continue
        digest = image_digest(world, name)
        if digest is None:
            return None
        found.add(identity.base_volume(world.fleet, digest, image.spec.format))
    return frozenset(found)


class _Collection(Struct, frozen=True):
    """One pool as one host sees it."""

    world: World
    draft: Draft
    host: str
    pool: str
    volumes: Mapping[str, ObservedVolume]
    planned: frozenset[str]
    bases: frozenset[str] | None

    def plan(self) -> None:
        fleet = re.escape(self.world.fleet)
        base = re.compile(rf"({fleet}\.base-[0-9a-f]{{32}}\.(?:qcow2|raw))(\.complete)?")
        seed = re.compile(rf"{fleet}\.([^.]+)\.seed-[0-9a-f]{{16}}\.iso")
        candidates = []
        for name in sorted(self.volumes):
            if name in self.planned:
                continue
            as_base, as_seed = base.fullmatch(name), seed.fullmatch(name)
            as_disk = identity.parse_disk_volume(self.world.fleet, name)
            made_as = as_seed[1] if as_seed is not None else as_disk.vm if as_disk is not None else None
            vm = None if made_as is None else self._named_now(made_as)
            if as_base is not None:
                candidates += [(name, as_base[1])] if self._is_unwanted_base(as_base[1]) else []
            elif self._is_left_of_a_version(name) or (
                vm is not None and self._is_left_over(name, vm, seed=as_seed is not None)
            ):
                candidates.append((name, name))
        if candidates:
            used = self._used()
            for name, base_or_self in candidates:
                if base_or_self not in used:
                    self._delete(name, marker_of=base_or_self if base_or_self != name else "")

    def _named_now(self, origin: str) -> str:
        """The name of the VM that was made as `origin`, in the specs or, where they don't have it, in sight."""
        wanted = self.world.desired.vm_made_as(origin)
        if wanted is not None:
            return wanted.name
        found = (vm for vm, copies in self.world.copies.items() if any(each.mark.origin == origin for each in copies))
        return next(found, origin)

    def _is_unwanted_base(self, base: str) -> bool:
        return self.bases is not None and base not in self.bases and base not in self.planned

    def _is_left_of_a_version(self, name: str) -> bool:
        """What was made for a version that never came to be, or put there on its way: no manifest vouches for it.

        Who may still be writing to it is asked just before it is deleted.
        """
        part = identity.version_volume_stamp(self.world.fleet, name)
        if part is None or identity.is_version_manifest(name):
            return False
        image, stamp = part
        # What is on record as a version, or as one that is being deleted, is not collected piece by piece.
        on_record = {(each.image, each.stamp) for each in self.world.ledger.versions.get(image, ())}
        on_record |= {(each.image, each.stamp) for each in self.world.ledger.removals}
        if part in on_record and not name.endswith(".copy"):
            return False
        capture = self.world.ledger.captures.get(image)
        if f"Image/{image}" in self.world.ledger.in_flight or (capture is not None and capture.stamp == stamp):
            return False
        if any((each.image, each.stamp) == part for each in self.world.ledger.removals):
            return False  # that goes on by itself, with all of it
        manifest = identity.version_manifest(self.world.fleet, image, stamp)
        return name.endswith(".copy") or manifest not in self.volumes

    def _is_left_over(self, name: str, vm: str, *, seed: bool) -> bool:
        """A seed that was replaced, or what was begun for a VM that left the specs before it was there.

        What was finished of a VM that is gone is kept for its time: it may be all that is left of somebody's data.
        """
        if f"VirtualMachine/{vm}" in self.world.ledger.in_flight or self._may_be_out_of_sight(vm):
            return False
        if not seed and (self._is_of_a_move(vm, name) or self._is_of_a_restore(vm, name)):
            return True
        wanted = self.world.desired.vms.get(vm)
        if seed and vm in self.world.copies:
            is_replaced = wanted is None or name != seed_name(self.world.fleet, wanted)
            return is_replaced or self._is_elsewhere(vm)
        gone = wanted is None and vm not in self.world.copies
        return gone and (self._is_doomed(vm, name) or self.world.is_unfinished(self.pool, name, self.host))

    def _is_of_a_move(self, vm: str, name: str) -> bool:
        """What a VM left here that was moved and runs with its disks elsewhere, or what a move here was to fill."""
        if not self._is_elsewhere(vm):
            return False
        copy = self.world.copies[vm][0]
        if DoomedVolume(vm, self.pool, name, self.host) in self.world.ledger.left_behind:
            there = self.world.observed_pool(self.pool, copy.host)
            return there is not None and name in (there.volumes or {}) and _has_disk(copy.domain, name)
        return self.world.is_unfinished(self.pool, name, self.host)

    def _is_of_a_restore(self, vm: str, name: str) -> bool:
        """What was made for a restore that is not wanted any more, or in passing: its VM never had it."""
        disk, wanted = identity.parse_disk_volume(self.world.fleet, name), self.world.desired.vms.get(vm)
        if disk is None or not disk.generation or wanted is None or vm not in self.world.copies:
            return False
        value = wanted.spec.restore.value if wanted.spec.restore is not None else ""
        known = self.world.ledger.restores.get(vm)
        last = [value_of(copy.mark.restore) for copy in self.world.copies[vm]]
        is_due = bool(value) and value not in (*last, value_of(known.done) if known is not None else "")
        made = next((one for one in self.world.ledger.restoring.get(vm, ()) if one.volume == name), None)
        is_for_it = made is not None and made.value == value and (made.pool, made.host) == (self.pool, self.host)
        return not (is_due and is_for_it) and self.world.is_unfinished(self.pool, name, self.host)

    def _is_elsewhere(self, vm: str) -> bool:
        """Whether the VM is on another host than this one, for certain and not on its way; no shared pool."""
        copies, placement = self.world.copies.get(vm, ()), self.world.ledger.placements.get(vm)
        if vm in self.world.ledger.migrations or self.world.is_shared(self.pool) or len(copies) != 1:
            return False
        return placement is not None and placement.host == copies[0].host != self.host

    def _may_be_out_of_sight(self, vm: str) -> bool:
        """Placed on a host that could not be read, or that left the specs."""
        placement = self.world.ledger.placements.get(vm)
        return placement is not None and placement.host not in self.world.inventory.hosts

    def _is_doomed(self, vm: str, name: str) -> bool:
        """Whether its deletion was accepted when its VM was removed, and cut off."""
        shared = self.world.is_shared(self.pool)
        return any(
            (doomed.vm, doomed.pool, doomed.volume) == (vm, self.pool, name) and (shared or doomed.host == self.host)
            for doomed in self.world.ledger.doomed
        )

    def _used(self) -> frozenset[str]:
        """Names of the volumes that a domain or an overlay refers to; by name, as a path may have two spellings."""
        hosts = self.world.inventory.hosts
        readers = hosts.values() if self.world.is_shared(self.pool) else (hosts[self.host],)
        paths: set[str] = {volume.backing_path for volume in self.volumes.values() if volume.backing_path}
        for host in readers:
            for domain in host.domains.values():
                for config in (domain.config, domain.live):
                    if config is not None:
                        paths.update(disk.path for disk in config.disks)
                        paths.update((config.seed.path,) if config.seed else ())
        return frozenset(_names(paths))

    def _delete(self, name: str, *, marker_of: str) -> None:
        is_base = name.startswith(f"{self.world.fleet}.base-")
        if not is_base and self._is_doomed(name.split(".")[1], name):
            self._finish_removal(name)
            return
        marker = identity.base_marker(name)
        complete = is_base and not marker_of and marker in self.volumes
        why: Why = "unused" if complete or marker_of or name.endswith(".iso") else "incomplete"
        part = identity.version_volume_stamp(self.world.fleet, name)
        what = "mark of a base" if marker_of else "base" if is_base else "seed" if name.endswith(".iso") else "disk"
        what = f"what is left of {part[0]}@{instant_of(part[1])}, which was never finished:" if part else what
        left = self._left_by(name)
        where = f", which VirtualMachine/{left} has on {self.world.copies[left][0].host} now" if left else ""
        why = "unused" if left else why
        # The mark goes first: a base without one is never used, a mark without its base would vouch for nothing.
        marker_id = f"delete-volume:StoragePool/{self.pool}:{marker}@{self.host}"
        self.draft.act(
            DeleteVolume(pool=self.pool, volume=name),
            target=ObjectRef("StoragePool", self.pool),
            host=self.host,
            sign="destroy",
            why=why,
            detail=f"delete {what} {name}{where}",
            after=(marker_id,) if complete else (),
            part=name,
        )

    def _left_by(self, name: str) -> str:
        """The VM that was moved away and left the disk here; empty if none has."""
        found = (left.vm for left in self.world.ledger.left_behind if (left.volume, left.host) == (name, self.host))
        return next((vm for vm in found if self.world.copies.get(vm)), "")

    def _finish_removal(self, name: str) -> None:
        ref = ObjectRef("VirtualMachine", name.split(".")[1])
        if self.world.is_paused(ref):
            hint = self.world.how_to_resume(ref)
            self.draft.wait(ref, "paused", f"volume {name} is to be deleted, and held", hint=hint)
            return
        self.draft.act(
            DeleteVolume(pool=self.pool, volume=name),
            target=ref,
            host=self.host,
            sign="destroy",
            why="removed",
            detail=f"delete volume {name}, as its removal was cut off",
            disruption="destroy" if name.endswith(".iso") else "data-loss",
            part=name,
        )


def _has_disk(domain: ObservedDomain, volume: str) -> bool:
    return volume in _names(disk.path for disk in domain.config.disks)


def _names(paths: Iterable[str]) -> Iterable[str]:
    return (path.rpartition("/")[2] for path in paths)

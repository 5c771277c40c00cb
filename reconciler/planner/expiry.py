"""What was kept for its time is deleted for good: foretold a day before, and never while anything is uncertain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from reconciler.model.inventory import ObservedVolume
from reconciler.model.next_command import NextCommand
from reconciler.model.resource import ObjectRef
from reconciler.model.restores import SwitchDisks
from reconciler.model.spoken_time import span, utc
from reconciler.model.steps import DeleteVolume
from reconciler.model.tombstone import Tombstone
from reconciler.model.volume_names import owner_of
from reconciler.planner.draft import Draft
from reconciler.planner.world import World

FORETOLD: Final = 86400.0
"""Seconds before its end in which everybody is told."""


def plan_expiries(world: World, draft: Draft, is_held: Callable[[Tombstone], bool] = lambda _stone: False) -> None:
    """Delete what has been kept for its time, or say why not now; `is_held` says so itself."""
    for stone in world.ledger.tombstones:
        expiry = Expiry(world, stone)
        if expiry.left > 0 or not is_held(stone):
            expiry.plan(draft)


def _wanted_back(draft: Draft) -> frozenset[str]:
    """Volumes that a VM is to have again by this very plan."""
    switches = (action.step for action in draft.actions.values() if isinstance(action.step, SwitchDisks))
    return frozenset(swap.new for switch in switches for swap in switch.swaps)


class Expiry(Struct, frozen=True):
    """The end of what one tombstone keeps."""

    world: World
    stone: Tombstone

    @property
    def ref(self) -> ObjectRef:
        """The VM that it was."""
        return ObjectRef("VirtualMachine", self.stone.vm)

    @property
    def left(self) -> float:
        """Seconds until its time is over."""
        return self.stone.left(self.world.now, self.world.ledger.counted)

    @property
    def parts(self) -> str:
        """`root, data`: the disks that it still keeps."""
        owners = (owner_of(self.world.fleet, name) for _pool, name in self._unclaimed())
        return ", ".join(dict.fromkeys(owner.disk or "seed" for owner in owners if owner is not None))

    def plan(self, draft: Draft) -> None:
        volumes = self._unclaimed()
        if not volumes or (self.left > FORETOLD):
            return
        if self.left > 0:
            self._foretell(draft)
            return
        doubt = self.doubt()
        if doubt:
            detail = f"what is kept of it ({self.parts}) has expired, and stays for now: {doubt}"
            draft.wait(self.ref, "expiry-held", detail, severity="info", host=self.stone.host)
            return
        wanted = _wanted_back(draft)
        for pool, name in volumes:
            if name not in wanted:
                self._delete(draft, pool, name)

    def _foretell(self, draft: Draft) -> None:
        when = utc(self.world.now + self.left)
        draft.wait(
            self.ref,
            "expires-soon",
            f"what is kept of it ({self.parts}) is deleted for good in {span(self.left)}, at {when}",
            severity="info",
            host=self.stone.host,
            hint=NextCommand("tombstone", "keep", self.stone.vm),
        )

    def _delete(self, draft: Draft, pool: str, name: str) -> None:
        host = self.world.storage_host(pool, self.stone.host)
        owner = owner_of(self.world.fleet, name)
        how = "by command" if self.stone.purged else f"after {span(self.stone.retention)}"
        draft.act(
            DeleteVolume(pool=pool, volume=name),
            target=self.ref,
            host=host,
            sign="destroy",
            why="expired",
            detail=f"delete volume {name} for good, kept since {utc(self.stone.since)}, {how}",
            disruption="data-loss" if owner is not None and owner.disk else "destroy",
            part=name,
        )

    def _unclaimed(self) -> list[tuple[str, str]]:
        """Without disks that the VM, back in the specs, is to have again."""
        return [(pool, name) for pool, name in self.stone.volumes if not self._is_claimed(name)]

    def _is_claimed(self, name: str) -> bool:
        owner = owner_of(self.world.fleet, name)
        vm = None if owner is None else self.world.desired.vm_made_as(owner.vm)
        if self.stone.kind == "replaced" or vm is None or owner is None:
            return False
        return not owner.disk or any(disk.name == owner.disk for disk in vm.spec.disks)

    def doubt(self) -> str:
        """Why nothing of it is deleted now; empty if nothing speaks against that."""
        desired, vm = self.world.desired, self.stone.vm
        if desired.doubt:
            return desired.doubt
        if desired.removal_hold:
            return desired.removal_hold
        if desired.unusable or desired.errors:
            return "the specs have mistakes"
        if self.world.is_paused(self.ref):
            return f"it is held ({self.world.how_to_resume(self.ref)})"
        is_near = vm in self.world.copies or vm in self.world.ledger.placements
        if self.stone.kind == "removed" and vm not in desired.vms and is_near:
            return "the VM is not removed yet"
        return next(self._doubts_about_volumes(), "")

    def _doubts_about_volumes(self) -> Iterator[str]:
        for pool, name in self._unclaimed():
            if pool not in self.world.desired.pools:
                yield f"its pool {pool} is in no spec any more"
                continue
            host = self.world.storage_host(pool, self.stone.host)
            unseen = self.world.out_of_sight(pool) or ((host,) if host not in self.world.inventory.hosts else ())
            observed = self.world.observed_pool(pool, self.stone.host)
            if unseen:
                yield f"{', '.join(unseen)} can't be read"
            elif observed is None or observed.volumes is None:
                yield f"pool {pool} on {host} can't be read"
            elif self.world.is_paused(ObjectRef("StoragePool", pool)):
                yield f"pool {pool} is held"
            elif name not in observed.volumes:
                yield f"{name} is not in pool {pool} on {host}"
            else:
                yield from self._users(pool, observed.volumes[name])
                for other in observed.volumes.values():
                    if other.backing_path == observed.volumes[name].path and other.name != name:
                        yield f"{other.name} stands on {name}"

    def _users(self, pool: str, volume: ObservedVolume) -> Iterator[str]:
        shared = self.world.is_shared(pool)
        for name, host in self.world.inventory.hosts.items():
            for domain in host.domains.values() if shared or name == self.stone.host else ():
                for config in (domain.config, domain.live):
                    disks = (*config.disks, config.seed) if config is not None else ()
                    if any(disk.path.rpartition("/")[2] == volume.name for disk in disks if disk is not None):
                        yield f"domain {domain.name} on {name} refers to {volume.name}"

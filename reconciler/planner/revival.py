"""A VM whose spec is put back while what it had is still kept: it has its disks again, or waits and says why."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from reconciler.model.next_command import NextCommand
from reconciler.model.resource import ObjectRef
from reconciler.model.spoken_time import utc
from reconciler.model.tombstone import Tombstone
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.model.volume_names import owner_of
from reconciler.planner.draft import Draft
from reconciler.planner.world import World


class KeptDisk(Struct, frozen=True):
    """One volume of a tombstone that was a disk."""

    stone: Tombstone
    pool: str
    volume: str
    disk: str


class Revival(Struct, frozen=True):
    """What is kept of `vm`, against what its spec asks for now."""

    world: World
    vm: VirtualMachine

    def _kept(self) -> Iterator[KeptDisk]:
        for stone in self.world.ledger.tombstones:
            if stone.vm == self.vm.name and stone.kind == "removed":
                for pool, volume in stone.volumes:
                    owner = owner_of(self.world.fleet, volume)
                    if owner is not None and owner.disk:
                        yield KeptDisk(stone, pool, volume, owner.disk)

    def words(self, host: str) -> str:
        """`with its disks root, data, kept since 2026-11-23 21:00Z`; empty where it has none of them again."""
        wanted = {(disk.pool, disk.name, disk.format) for disk in self.vm.spec.disks}
        back = [
            kept
            for kept in self._kept()
            if (kept.pool, kept.disk, kept.volume.rpartition(".")[2]) in wanted
            and (self.world.is_shared(kept.pool) or kept.stone.host == host)
        ]
        if not back:
            return ""
        names = ", ".join(dict.fromkeys(kept.disk for kept in back))
        noun = "disk" if len(back) == 1 else "disks"
        return f"with its {noun} {names}, kept since {utc(min(kept.stone.since for kept in back))}"

    def refuses(self, draft: Draft) -> bool:
        """Whether a disk is kept elsewhere than the spec has it now: no new, empty one is made in its place."""
        for disk in self.vm.spec.disks:
            same = [kept for kept in self._kept() if kept.disk == disk.name]
            if any((kept.pool, kept.volume.rpartition(".")[2]) == (disk.pool, disk.format) for kept in same):
                continue
            for kept in same:
                kind = kept.volume.rpartition(".")[2]
                is_moved = kept.pool != disk.pool
                field, old, new = ("pool", kept.pool, disk.pool) if is_moved else ("format", kind, disk.format)
                draft.wait(
                    ObjectRef("VirtualMachine", self.vm.name),
                    "conflict",
                    f"its disk {disk.name} is kept in pool {kept.pool} since {utc(kept.stone.since)}, as {kind}, and"
                    f" its spec has {field}: {new}; no empty one is made in its place",
                    severity="blocked",
                    host=kept.stone.host,
                    hint=f"write {field}: {old}, or have what is kept deleted: {self.purge}",
                )
                return True
        return False

    def report_left_out(self, draft: Draft) -> None:
        """Disks that its spec does not have any more: they are not lost yet."""
        names = {disk.name for disk in self.vm.spec.disks}
        for kept in self._kept():
            if kept.disk not in names:
                left = kept.stone.left(self.world.now, self.world.ledger.counted)
                draft.wait(
                    ObjectRef("VirtualMachine", self.vm.name),
                    "immutable",
                    f"its disk {kept.disk} of before is not in its spec; it is kept until {utc(self.world.now + left)}",
                    severity="info",
                    host=kept.stone.host,
                    hint=f"to have it, a disk of the name {kept.disk} in pool {kept.pool}",
                )

    @property
    def purge(self) -> str:
        """What gives the disks up."""
        return NextCommand("tombstone", "purge", self.vm.name)

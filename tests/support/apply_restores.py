"""What the ledger has on record of restores, once their steps have succeeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from reconciler.model.ledger import LedgerView, RestoreDone, RestoringDisk, VolumeIntent
from reconciler.model.restores import RestoreDisk, SwitchDisks
from reconciler.model.tombstone import Tombstone


@dataclass
class Restores:
    """As the ledger has them."""

    done: dict[str, RestoreDone]
    volumes: dict[tuple[str, str], str]
    under_way: dict[str, tuple[RestoringDisk, ...]]

    @classmethod
    def of(cls, ledger: LedgerView) -> Restores:
        return cls(dict(ledger.restores), dict(ledger.disk_volumes), dict(ledger.restoring))

    @property
    def on_record(self) -> dict[str, Any]:
        """As a LedgerView names them."""
        return {"restores": self.done, "disk_volumes": self.volumes, "restoring": self.under_way}

    def make(self, host: str, step: RestoreDisk) -> set[VolumeIntent]:
        """A disk was made; returned is what is unfinished for that, as the VM does not have it yet."""
        if not step.value:
            return set()
        vm = step.volume.split(".")[1]
        made = RestoringDisk(vm, step.disk, step.value, step.source.name, step.pool, step.volume, host, copied=True)
        left = [other for other in self.under_way.get(vm, ()) if other.volume != step.volume]
        self.under_way[vm] = (*left, made)
        return {VolumeIntent(step.pool, step.volume, host)}

    def switch(self, step: SwitchDisks, tombstones: list[Tombstone], now: float) -> list[Tombstone]:
        """The VM has its new disks; returned is what is kept then."""
        vm, new = step.config.name, {swap.new for swap in step.swaps}
        old = tuple((swap.pool, swap.old) for swap in step.swaps)
        self.done[vm] = RestoreDone(vm, step.done, now, step.source, step.starts)
        self.volumes.update({(vm, swap.disk): swap.new for swap in step.swaps})
        self.under_way.pop(vm, None)
        left = [kept for kept in tombstones if not {name for _pool, name in kept.volumes} & new]
        stone = Tombstone(vm, "replaced", now, now + step.retention, step.swaps[0].host, old, restore=step.source)
        return [*left, stone]

    def start(self, vm: str) -> None:
        if vm in self.done:
            self.done[vm] = replace(self.done[vm], starts=False)

"""Moves that even out what hosts promise their guests: few, each worth it, and never back and forth.

A move lowers the higher load of the two hosts by `minGain` or more, so that the loads of all hosts, highest first,
come down in the order of words in a dictionary: that ends, and what it ends at is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from msgspec import Struct

from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.migratability import as_it_runs
from reconciler.planner.migrations import Mover
from reconciler.planner.ownership import Copy
from reconciler.planner.placement import Room, has_all
from reconciler.planner.world import World

_HOUR: Final = 3600.0
_DIGITS: Final = 6


class Shift(Struct, frozen=True):
    """One move, and what it does to the loads of its two hosts (shares of what they may promise)."""

    vm: str
    source: str
    target: str
    before: tuple[float, float]
    after: tuple[float, float]
    of: tuple[str, str]
    """What the load of the one before, and that of the other after, is a share of."""

    @property
    def gain(self) -> float:
        """By how much the higher of the two loads comes down."""
        return round(max(self.before) - max(self.after), _DIGITS)

    @property
    def words(self) -> str:
        """`h1 82 → 71.5 % of memory, h2 30 → 40.5 % of CPUs`."""
        told = zip((self.source, self.target), self.before, self.after, self.of, strict=True)
        return ", ".join(f"{host} {100 * old:.3g} → {100 * new:.3g} % of {of}" for host, old, new, of in told)


def shifts(mover: Mover) -> Iterator[Shift]:
    """The next moves, the most worthwhile first; what the target has to give shrinks with each.

    While it is on its way a VM takes room on both hosts, so what it leaves is counted as load, and not given away.
    """
    world, rules = mover.world, mover.world.policy.balance
    taking = _taking_part(mover)
    budget = rules.moves_per_hour - _moved_lately(world)
    moved: set[str] = set()
    while budget > 0 and len(taking) > 1:
        loads = [part.load() for part in taking]
        if max(loads) - min(loads) <= rules.threshold:
            return
        best = _best(mover, taking, moved)
        if best is None:
            return
        shift, here = best
        here.leaves(as_it_runs(world.desired.vms[shift.vm], world.copies[shift.vm][0]))
        moved.add(shift.vm)
        budget -= 1
        yield shift  # whoever carries it out takes the room at its target


def report_spent(mover: Mover) -> None:
    """Say of the fullest host that its load stays for now, where no more moves are allowed within this hour."""
    world, rules, parts = mover.world, mover.world.policy.balance, _taking_part(mover)
    if len(parts) < 2 or _moved_lately(world) < rules.moves_per_hour:
        return
    by_load = sorted(parts, key=lambda part: (-part.load(), part.name))
    fullest, emptiest = by_load[0], by_load[-1]
    if fullest.load() - emptiest.load() <= rules.threshold:
        return
    detail = (
        f"{fullest.name} {100 * fullest.load():.3g} % of {fullest.of()}, {emptiest.name} {100 * emptiest.load():.3g} %:"
        f" as many VMs as balance.movesPerHour ({rules.moves_per_hour}) allows were moved within the last hour"
    )
    mover.draft.wait(ObjectRef("Host", fullest.name), "move-waits", detail, severity="info", host=fullest.name)


def _taking_part(mover: Mover) -> list[_Part]:
    return [_Part(room) for name, room in sorted(mover.rooms.items()) if _takes_part(mover.world, name)]


class _Part(Struct):
    """A host that takes part, and what is to leave it by this plan."""

    room: Room
    memory: float = 0
    cpus: float = 0

    @property
    def name(self) -> str:
        return self.room.host.name

    def leaves(self, vm: VirtualMachine) -> None:
        memory, cpus = _size(vm)
        self.memory, self.cpus = self.memory + memory, self.cpus + cpus

    def load(self, memory: float = 0, cpus: float = 0) -> float:
        """The share of its memory or CPUs, whichever is higher, that is promised, with so much more or less."""
        return max(self._shares(memory, cpus).values(), default=0.0)

    def of(self, memory: float = 0, cpus: float = 0) -> str:
        """Which of them that is."""
        shares = self._shares(memory, cpus)
        return max(shares, key=shares.__getitem__, default="memory")

    def _shares(self, memory: float, cpus: float) -> dict[str, float]:
        room = self.room
        return {
            of: round((total - free - left + more) / total, _DIGITS)
            for of, total, free, left, more in (
                ("memory", room.memory_total, room.memory_free, self.memory, memory),
                ("CPUs", room.cpus_total, room.cpus_free, self.cpus, cpus),
            )
            if total > 0
        }


def _size(vm: VirtualMachine) -> tuple[float, float]:
    return vm.spec.memory_ceiling, vm.spec.cpu.count


def _takes_part(world: World, host: str) -> bool:
    return world.desired.hosts[host].spec.state == "active" and not world.is_paused(ObjectRef("Host", host))


def _moved_lately(world: World) -> int:
    """Moves of the last hour, whatever they were for, and those under way."""
    lately = [
        placement
        for placement in world.ledger.placements.values()
        if placement.epoch > 1 and 0 <= world.now - placement.since < _HOUR
    ]
    return len(lately) + len(world.ledger.migrations)


def _best(mover: Mover, parts: list[_Part], moved: Collection[str]) -> tuple[Shift, _Part] | None:
    """The most worthwhile move away from the fullest host that has one, and the host that it leaves."""
    for here in sorted(parts, key=lambda part: (-part.load(), part.name)):
        found = [
            shift
            for vm, copy in _movable(mover.world, here.name, moved)
            if (shift := _least_loaded(mover, vm, copy, here, parts)) is not None
        ]
        if found:
            return min(found, key=lambda shift: (-shift.gain, _is_copied(mover.world, shift.vm), shift.vm)), here
    return None


def _is_copied(world: World, vm: str) -> bool:
    """Whether it has disks that would have to be copied: of equal moves the others are made."""
    return any(not world.is_shared(disk.pool) for disk in world.desired.vms[vm].spec.disks)


def _movable(world: World, host: str, moved: Collection[str]) -> Iterator[tuple[VirtualMachine, Copy]]:
    """Running VMs of the host that rested for long enough, by name."""
    cooldown = world.policy.balance.cooldown
    for name in sorted(world.inventory.hosts[host].domains):
        vm, copies, placement = (
            world.desired.vms.get(name),
            world.copies.get(name, ()),
            world.ledger.placements.get(name),
        )
        if vm is None or placement is None or len(copies) != 1 or name in moved:
            continue
        rested = not 0 <= world.now - placement.since < cooldown
        if (
            copies[0].host == host
            and copies[0].domain.state == "running"
            and rested
            and not world.is_paused(_ref(name))
        ):
            yield as_it_runs(vm, copies[0]), copies[0]


def _ref(vm: str) -> ObjectRef:
    return ObjectRef("VirtualMachine", vm)


def _least_loaded(mover: Mover, vm: VirtualMachine, copy: Copy, here: _Part, parts: list[_Part]) -> Shift | None:
    """The move of `vm` to the host that carries it most easily; None where that gains too little."""
    memory, cpus = _size(vm)
    now, left, least = here.load(), here.load(-memory, -cpus), mover.world.policy.balance.min_gain
    if now - left < least:
        return None
    worth = [
        shift
        for there in parts
        if there is not here and there.load() <= now - least
        for shift in [_shift(vm.name, here, there, memory, cpus)]
        if shift.gain >= least and not _crowds(vm, here.room, there.room)
    ]
    best_first = sorted(worth, key=lambda shift: (-shift.gain, shift.target))
    return next((shift for shift in best_first if mover.can_leave(vm, copy, (shift.target,))), None)


def _shift(vm: str, here: _Part, there: _Part, memory: float, cpus: float) -> Shift:
    before, after = (here.load(), there.load()), (here.load(-memory, -cpus), there.load(memory, cpus))
    return Shift(vm, here.name, there.name, before, after, (here.of(), there.of(memory, cpus)))


def _crowds(vm: VirtualMachine, here: Room, there: Room) -> bool:
    """Whether it would be among more VMs that it is to be spread from, if that can be had."""
    wanted = vm.spec.placement.prefer_spread
    if not wanted:
        return False
    beside = sum(has_all(labels, wanted) for labels in here.labels_there) - has_all(vm.metadata.labels, wanted)
    return sum(has_all(labels, wanted) for labels in there.labels_there) > beside

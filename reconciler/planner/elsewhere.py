"""Whether VMs of a host that is silent would find room elsewhere: only then is its power cut for them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.facilities import Facilities
from reconciler.planner.lost_hosts import decisive_home
from reconciler.planner.placement import Room, place
from reconciler.planner.world import World

Rejections = tuple[tuple[str, str], ...]
"""Hosts and why each does not take a VM, in order of names."""


class Elsewhere(Struct, frozen=True):
    """The hosts that are left, as they are once the VMs of dead hosts have the room that they are about to get."""

    world: World
    facilities: Facilities
    rooms: Mapping[str, Room]

    def rejections(self, host: str, vm: VirtualMachine) -> Rejections:
        """Why no other host than `host` takes `vm`; empty if one does, or has it: a recovery was cut off there."""
        if vm.name in self.world.copies:
            return ()
        verdict = place(self.world, self.facilities, vm, self.rooms)
        return () if verdict.host else tuple(found for found in verdict.rejections if found[0] != host)

    def why_useless(self, vm: VirtualMachine) -> str:
        """Why it would do `vm` no good were its host proven dead, room or not; empty where it would."""
        placement = self.world.ledger.placements[vm.name]
        if placement.epoch == 1 and not placement.ran and placement.outran_at is None:
            return "was never started there"
        return "is held" if self.world.is_paused(ObjectRef("VirtualMachine", vm.name)) else ""


def look_elsewhere(world: World, facilities: Facilities, rooms: Mapping[str, Room]) -> Elsewhere:
    """`rooms` are what is left on each host that was read, before this plan takes any of it."""
    left = {name: replace(room, labels_there=list(room.labels_there)) for name, room in rooms.items()}
    for vm in sorted(_about_to_be_recovered(world), key=lambda vm: (-vm.spec.ha.priority, vm.name)):
        home = place(world, facilities, vm, left).host
        if home is not None:
            left[home].take(vm)
    return Elsewhere(world, facilities, left)


def _about_to_be_recovered(world: World) -> list[VirtualMachine]:
    return [
        vm
        for name, vm in world.desired.vms.items()
        if world.dead
        and name not in world.copies
        and (placement := world.ledger.placements.get(name)) is not None
        and decisive_home(placement, world.ledger, world.inventory.hosts) in world.dead
    ]

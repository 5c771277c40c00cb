"""Where each VM could go as it runs, and why not elsewhere: the answers of those who would move it."""

from __future__ import annotations

from reconciler.model.status import HostVerdict, VmMobility
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.migrations import Mover
from reconciler.planner.networks import plan_networks
from reconciler.planner.placement import make_rooms
from reconciler.planner.pools import plan_pools
from reconciler.planner.world import World


def mobility(world: World) -> tuple[VmMobility, ...]:
    """Where each VM of ours that is in sight could go now, and why not elsewhere."""
    facilities, draft = Facilities(), Draft()
    plan_pools(world, facilities, draft)
    plan_networks(world, facilities, draft)
    mover = Mover(world, facilities, make_rooms(world), draft)
    found = []
    for name, vm in sorted(world.desired.vms.items()):
        copies = world.copies.get(name, ())
        if len(copies) != 1:
            continue
        verdicts = [HostVerdict(host, obstacle) for host, obstacle in mover.obstacles(vm, copies[0]).items()]
        verdicts += [HostVerdict(host, "can't be read") for host in world.unread]
        local = tuple(disk.name for disk in vm.spec.disks if not world.is_shared(disk.pool))
        found.append(VmMobility(name, copies[0].host, tuple(sorted(verdicts, key=lambda each: each.host)), local))
    return tuple(found)

"""Copies of a life that a VM had before it was removed: hosts that were away bring them back."""

from __future__ import annotations

from reconciler.model.resource import ObjectRef
from reconciler.model.steps import UndefineDomain
from reconciler.planner.draft import Draft
from reconciler.planner.ownership import Copy
from reconciler.planner.shutdowns import shut_down
from reconciler.planner.world import World


def leftovers(world: World, vm: str) -> tuple[Copy, ...]:
    """Copies of `vm`, which was removed and not placed since, of before its removal."""
    removed = world.ledger.removed.get(vm)
    if removed is None or vm in world.ledger.placements:
        return ()
    return tuple(copy for copy in world.copies.get(vm, ()) if removed.outdates(copy.host, copy.mark.epoch))


def clear_leftovers(world: World, draft: Draft, target: ObjectRef) -> bool:
    """Shut leftovers of a VM that is wanted again down and undefine them; return whether there are any.

    Their guests are asked: the VM is nowhere else yet, so nobody else has their disks, which stay.
    """
    old = leftovers(world, target.name)
    for copy in old:
        domain, after = copy.domain, []
        which = f"the old copy (epoch {copy.mark.epoch})"
        if domain.active:
            after.append(
                draft.act(
                    shut_down(world, world.desired.vms[target.name], domain),
                    target=target,
                    host=copy.host,
                    sign="change",
                    why="drift",
                    detail=f"shut down {which}: the VM was removed since",
                )
            )
        if domain.persistent:
            draft.act(
                UndefineDomain(domain.name, domain.uuid, keep_nvram=True),
                target=target,
                host=copy.host,
                sign="change",
                why="drift",
                detail=f"undefine {which}; its disks are kept",
                after=after,
            )
    return bool(old)

"""Two domains of one VM: which of them a human is told to remove."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.planner.ownership import Copy
from reconciler.planner.world import World


def which_is_left_over(world: World, vm: str, copies: Sequence[Copy]) -> str:
    """What to do about `copies` (two or more, all of `vm`); one that runs is never told to go for one that is off.

    `virsh migrate` without `--undefinesource` leaves the old definition where the ledger has the VM, and off.
    """
    placement = world.ledger.placements.get(vm)
    placed_on = placement.host if placement else ""
    stale = min(copies, key=lambda c: (c.domain.active, c.host == placed_on, c.mark.epoch))
    command = f"virsh -c {world.desired.hosts[stale.host].spec.uri} undefine {vm}"
    running = [copy.host for copy in copies if copy.domain.active]
    if len(running) == 1:
        return (
            f"the one on {running[0]} runs; the one on {stale.host} is off, and most likely left over; once you are"
            f" sure: {command}"
        )
    return f"once you are sure that the one on {stale.host} is the stale one, and off: {command}"

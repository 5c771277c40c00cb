"""Two domains of one VM: which of them a human is told to remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.model.resource import ObjectRef
from reconciler.planner.draft import Draft
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


def report_broken(world: World, draft: Draft, vm: str, copies: Iterable[Copy]) -> bool:
    """Say what to do about halves of a guest whose post-copy was cut; return whether there are any."""
    found = tuple(copies)
    halves = [copy.host for copy in found if copy.domain.active] if any(copy.domain.is_broken for copy in found) else []
    if halves:
        draft.wait(
            ObjectRef("VirtualMachine", vm),
            "conflict",
            "its post-copy was cut: some of its memory is on another host; it goes on once the two reach one another",
            severity="blocked",
            host=halves[0],
            hint="see to the network between them; or give up what it had not written to its disks:"
            f" {_give_up(world, vm, halves)}; then it is started again",
        )
    return bool(halves)


def _give_up(world: World, vm: str, seen: Sequence[str]) -> str:
    """Commands for both halves: one that is out of sight runs on, whatever becomes of the one in sight."""
    move = world.ledger.migrations.get(vm)
    known = [host for host in (move.source, move.target) if host not in seen] if move is not None else []
    others = [host for host in known if host in world.desired.hosts]
    commands = " and ".join(f"virsh -c {world.desired.hosts[half].spec.uri} destroy {vm}" for half in (*seen, *others))
    if others:
        return f"{commands}, both, once {others[0]} is reached, or surely off"
    if len(seen) > 1:
        return commands
    where = f" (on {' or '.join(world.unread)}, out of sight)" if world.unread else ""
    return f"first the other half, wherever that is{where}; then {commands}"

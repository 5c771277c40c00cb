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


def report_split(world: World, draft: Draft, vm: str, old: Iterable[Copy]) -> bool:
    """Say of an old copy that runs with disks of its own what to do; return whether there is one.

    libvirt had it run on at the source of a migration that nobody saw the end of: what it has written since is nowhere
    else, and nobody but people can say which of the two is to stay.
    """
    left_at = {left.host for left in world.ledger.left_behind if left.vm == vm}
    split = [copy for copy in old if copy.domain.state == "running" and copy.host in left_at]
    for copy in split[:1]:
        moved_to = world.ledger.placements[vm].host
        draft.wait(
            ObjectRef("VirtualMachine", vm),
            "conflict",
            f"it was moved to {moved_to}, and runs on {copy.host} too, with disks of its own: libvirt had it run on at"
            " its source; nothing is done to either",
            severity="blocked",
            host=copy.host,
            hint=f"see which of them is to stay; on the other host: virsh destroy {vm}, then virsh undefine"
            f" --keep-nvram {vm}",
        )
    return bool(split)


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

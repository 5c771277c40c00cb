"""How far a host in maintenance is emptied, and whether its power may go off."""

from __future__ import annotations

from typing import Final

from reconciler.model.host import Host
from reconciler.model.ledger import LedgerView
from reconciler.model.plan import Plan
from reconciler.model.resource import ObjectRef
from reconciler.model.status import Drain
from reconciler.model.steps import MigrateDomain
from reconciler.planner.world import World

SAFE = "safe to power off"
_IN_THE_WAY: Final = frozenset({"not-wanted-here", "conflict"})
NONE_THERE = "no VM of the fleet is placed there"


def is_emptied(ledger: LedgerView, host: Host) -> bool:
    """Whether by the ledger no VM is on a host in maintenance, none on its way, and none that was recovered from it.

    Says nothing of a host that was never read, nor of guests that are not ours.
    """
    if not host.is_drained or host.name not in ledger.hosts_read:
        return False
    used = {place for found in ledger.placements.values() for place in (found.host, found.came_from)}
    used |= {place for move in ledger.migrations.values() for place in (move.source, move.target)}
    return host.name not in used


def is_out_of_service(world: World, host: Host) -> bool:
    """Whether a host that was emptied does not answer, which is as planned; another machine in its place is not."""
    is_silent = host.name not in world.inventory.hosts and host.name not in world.strangers
    return is_silent and is_emptied(world.ledger, host)


def drain_of(world: World, host: Host, plan: Plan) -> Drain | None:
    """What is left on the host; None unless it is to be emptied and was read: unseen is not empty."""
    observed = world.inventory.hosts.get(host.name)
    if not host.is_drained or observed is None:
        return None
    running = {domain.name for domain in observed.domains.values() if domain.active}
    ours = {
        name
        for name, domain in observed.domains.items()
        if (mark := domain.config.mark) is not None and mark.fleet == world.fleet
    }
    leaving = {
        vm for vm, migration in world.ledger.migrations.items() if host.name in (migration.source, migration.target)
    } | _about_to_leave(plan, host.name)
    leaving |= _held_up(plan) & ours - running
    stuck = {unmet.target.name for unmet in plan.unmet if unmet.reason in _IN_THE_WAY and unmet.severity == "blocked"}
    at_work = {str(ObjectRef("VirtualMachine", name)) for name in observed.domains} & world.ledger.in_flight
    return Drain(
        left=len(ours & running | leaving),
        stuck=len(ours & running & stuck),
        strangers=len(running - ours),
        at_work=bool(at_work) or any(action.host == host.name for action in plan.actions),
        off=len(ours - running - leaving),
    )


def _about_to_leave(plan: Plan, host: str) -> set[str]:
    """VMs that are to be moved from there now, or once it is their turn."""
    moved = {
        action.target.name
        for action in plan.actions
        if isinstance(action.step, MigrateDomain) and action.step.source == host
    }
    return moved | {
        unmet.target.name
        for unmet in plan.unmet
        if unmet.reason == "move-waits" and unmet.host == host and unmet.target.kind == "VirtualMachine"
    }


def _held_up(plan: Plan) -> set[str]:
    """VMs whose move or start is planned, but has to wait: for its next try, or for whoever holds a host."""
    found = set()
    for action_id in plan.held:
        kind, _, rest = action_id.partition(":")
        if kind in ("migrate-domain", "start-domain"):
            found.add(rest.partition("@")[0].partition(":")[0].removeprefix("VirtualMachine/"))
    return found


def drain_words(drain: Drain) -> str:
    """`safe to power off`, or what there is left to do."""
    if drain.is_safe:
        return (
            f"{SAFE}; {_some(drain.off, 'VM')} that {'is' if drain.off == 1 else 'are'} off on it"
            if drain.off
            else SAFE
        )
    if not drain.left:
        return f"empty, but for {_some(drain.strangers, 'unmanaged guest')}" if drain.strangers else "being emptied"
    stuck = f", {drain.stuck} of them can't be moved" if drain.stuck else ""
    others = f", {_some(drain.strangers, 'unmanaged guest')}" if drain.strangers else ""
    return f"being emptied: {_some(drain.left, 'VM')} left{stuck}{others}"


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

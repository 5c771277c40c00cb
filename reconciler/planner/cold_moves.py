"""Moves for which a VM is shut down, where it could not be moved as it ran: when, and for which VMs not."""

from __future__ import annotations

from typing import Final

from reconciler.model.ledger import LONGEST_BACKOFF, Failure, Migration
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.migration_disks import MovingDisks
from reconciler.planner.ownership import Copy
from reconciler.planner.world import World

_REMEMBERED: Final = 3600.0
"""Seconds for which a live move that took too long says that the next one would."""
_WITH_STATE: Final = ("tpm", "memory")
"""What of `ObservedDomain.restricted` keeps something in files of its host; libvirt may remove them with the domain."""
_TRIES: Final = 2
"""Moves that failed, as no host was reached, after which it is started where it is."""
_DOUBLINGS: Final = 7
"""Of the pause between shutdowns for a move that is refused: it ends at 21 hours."""
_LONGEST: Final = 180.0
"""Seconds after which nobody waits any more for a call that moves a definition, whose answer is lost: TCP gives a
connection up after two minutes, libvirt one that falls silent after half a minute."""
_RUN_AGAIN: Final = ("Always", "RerunOnFailure")


def is_due(world: World, vm: VirtualMachine, copy: Copy) -> bool:
    """Whether its last live move took too long and the policy has it shut down then; if it is off, it was for that."""
    placement = world.ledger.placements.get(vm.name)
    if world.policy.migration.fallback != "cold" or placement is None or placement.host != copy.host:
        return False
    if placement.outran_at is None:
        return False
    return abs(world.now - placement.outran_at) < _REMEMBERED if copy.domain.active else not placement.ran


def waits_a_moment(failure: Failure | None) -> bool:
    """Whether what is off waits for the host that it failed to come to, rather than be started and shut down again."""
    return failure is not None and not failure.permanent and failure.attempts < _TRIES


def shut_down_again_in(failure: Failure, now: float) -> float:
    """Seconds until a guest may be shut down for a move that failed: each time that it was in vain, twice as long.

    As with all that failed, a clock that was set back prolongs nothing.
    """
    pause = LONGEST_BACKOFF * (2.0 ** min(failure.attempts - 1, _DOUBLINGS) - 1) if failure.permanent else 0.0
    left = failure.not_before + pause - now
    return left if 0 < left <= LONGEST_BACKOFF + pause else 0.0


def is_over(move: Migration, now: float) -> bool:
    """Whether its source has done with it, for all that can be known of a call that nobody listens to any more.

    libvirt tells of no job of a domain that is off.
    """
    return move.step.cold and abs(now - move.since) > _LONGEST


def what_stays(disks: MovingDisks) -> str:
    """Why it can't be moved while it is off: what is on its host alone; empty if it can."""
    if disks.copy.domain.reason == "saved":
        return f"its guest was saved to a file on {disks.copy.host}, and goes on there"
    local = disks.names(disk.config for disk in disks.local())
    if local:
        those = f"its disk {local[0]} is" if len(local) == 1 else f"its disks {', '.join(local)} are"
        return f"{those} on {disks.copy.host} alone, and only copied while it runs"
    kept = [found for found in disks.copy.domain.restricted if found.startswith(_WITH_STATE)]
    if kept:
        return f"the state of its {', '.join(kept)} is on {disks.copy.host} alone, and only goes along while it runs"
    if disks.copy.domain.config.firmware != "bios" or disks.vm.spec.firmware != "bios":
        return f"its UEFI variables are on {disks.copy.host} alone, and only go along while it runs"
    return ""


def why_not(vm: VirtualMachine, disks: MovingDisks) -> str:
    """Why it is never shut down for a move; empty if it may be."""
    staying = what_stays(disks)
    if staying:
        return staying
    if vm.spec.run_strategy not in _RUN_AGAIN:
        return f"nothing would start it again (runStrategy {vm.spec.run_strategy})"
    return ""

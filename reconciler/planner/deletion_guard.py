"""Whether more would be deleted at once than anybody is likely to mean: then it waits for a human's word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from reconciler.model.mass_deletion import Deletion, MassDeletion, limit_of
from reconciler.model.next_command import NextCommand
from reconciler.model.resource import ObjectRef
from reconciler.model.spoken_time import utc
from reconciler.model.tombstone import Tombstone
from reconciler.planner.draft import Draft
from reconciler.planner.expiry import Expiry
from reconciler.planner.leftovers import leftovers
from reconciler.planner.world import World

_NOTHING: Final = MassDeletion((), 0, 0)


class DeletionGuard(Struct, frozen=True):
    """What is to be deleted in all, and what of it is held."""

    wished: frozenset[Deletion]
    """Whether it can be done now or not: a host that is out of sight makes no mass deletion a small one."""
    held: MassDeletion

    def holds(self, draft: Draft, deletion: Deletion, host: str | None) -> bool:
        """Whether it is held; says so."""
        if deletion not in self.held.deletions:
            return False
        draft.wait(
            ObjectRef("VirtualMachine", deletion.vm),
            "mass-deletion",
            f"would be {deletion.what}: {self.held.sentence}",
            severity="blocked",
            host=host,
            hint=NextCommand("accept-deletions", self.held.fingerprint),
        )
        return True


def guard_of(world: World) -> DeletionGuard:
    """Of what the specs don't have any more, and of what was kept for its time."""
    if world.desired.doubt or world.desired.removal_hold:
        return DeletionGuard(frozenset(), _NOTHING)  # nothing is deleted at all
    wished = frozenset((*_removals(world), *_expiries(world)))
    new = tuple(sorted(wished - world.ledger.accepted_deletions))
    managed = len(world.copies.keys() | world.ledger.placements.keys())
    rule = world.policy.mass_deletion
    limit = limit_of(managed, rule.share, rule.count)
    is_mass = len({deletion.vm for deletion in new}) > limit
    return DeletionGuard(wished, MassDeletion(new, limit, managed) if is_mass else _NOTHING)


def removal_of(world: World, vm: str) -> Deletion:
    """As it is told and accepted: with its disks or without is not the same."""
    record = world.ledger.placements.get(vm)
    says_delete = any(copy.mark.deletion_policy == "delete" for copy in world.copies.get(vm, ()))
    loses = says_delete and (record is None or record.deletion_policy != "retain")
    return Deletion(vm, "removed with its disks" if loses else "removed")


def expiry_of(stone: Tombstone) -> Deletion:
    """As it is told and accepted: what was put back and removed again is another one."""
    return Deletion(stone.vm, f"deleted for good, kept since {utc(stone.since, seconds=True)}")


def _removals(world: World) -> Iterator[Deletion]:
    known = world.copies.keys() | world.ledger.placements.keys()
    for name in known - world.desired.vms.keys():
        ref, copies = ObjectRef("VirtualMachine", name), world.copies.get(name, ())
        is_protected = any(copy.mark.prune == "disabled" for copy in copies)
        is_old = bool(copies) and len(leftovers(world, name)) == len(copies)
        if not (ref in world.desired.unusable or is_protected or is_old or world.is_paused(ref)):
            yield removal_of(world, name)


def _expiries(world: World) -> Iterator[Deletion]:
    for stone in world.ledger.tombstones:
        expiry = Expiry(world, stone)
        if not stone.purged and expiry.left <= 0 and expiry.parts and not world.is_paused(expiry.ref):
            yield expiry_of(stone)

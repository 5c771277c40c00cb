"""What the ledger says of volumes that are kept, brought up to what the hosts show and to how much time has passed."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.ledger.counting import instant_of
from reconciler.ledger.store import Ledger
from reconciler.ledger.unclaimed import find, note
from reconciler.model.counted_time import CountedTime, Instant
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import Policy
from reconciler.model.volume_names import owner_of

_WRITTEN_EVERY: Final = 60.0
"""Seconds of counted time that a crash may cost; what is kept is kept longer by that."""


def with_tombstones(
    ledger: Ledger,
    view: LedgerView,
    inventory: Inventory,
    desired: DesiredState,
    policy: Policy,
    clock: Clock,
    *,
    writes: bool,
) -> LedgerView:
    """`view` with tombstones as they are now; written down by the one controller only."""
    now, known = instant_of(clock), ledger.counted_time()
    counted = known.at(now).seconds if known is not None else 0.0
    found = find(view, inventory, desired, policy, now.wall)
    if writes and found:
        note(ledger, found, now)
        view = replace(view, tombstones=ledger.view().tombstones)
    else:
        view = replace(view, tombstones=found.applied(view.tombstones, counted))
        if writes and view.tombstones and known is not None and _is_due(known, now, counted):
            counted = ledger.count_time(now)
    return replace(view, counted=counted)


def _is_due(known: CountedTime, now: Instant, counted: float) -> bool:
    is_another_start = known.looked.boot != now.boot
    was_set_back = now.wall < known.looked.wall
    return is_another_start or was_set_back or counted - known.seconds >= _WRITTEN_EVERY


def is_claimed_by(desired: DesiredState, fleet: str, volume: str) -> bool:
    """Whether the specs have the VM that `volume` was made for, with that disk still."""
    owner = owner_of(fleet, volume)
    vm = desired.vm_made_as(owner.vm) if owner is not None else None
    if vm is None or owner is None:
        return False
    return not owner.disk or any(disk.name == owner.disk for disk in vm.spec.disks)

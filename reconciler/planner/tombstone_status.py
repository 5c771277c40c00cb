"""What `status` says of what is kept: of which VM, since when, until when, where, and how much room it takes."""

from __future__ import annotations

from reconciler.model.status import TombstoneStatus
from reconciler.model.tombstone import Tombstone
from reconciler.model.volume_names import owner_of
from reconciler.planner.expiry import Expiry
from reconciler.planner.world import World


def tombstones(world: World) -> tuple[TombstoneStatus, ...]:
    """All of them, the first to go first."""
    found = [_status(world, stone) for stone in world.ledger.tombstones]
    return tuple(sorted(found, key=lambda status: (status.left, status.vm, status.since)))


def _status(world: World, stone: Tombstone) -> TombstoneStatus:
    expiry = Expiry(world, stone)
    owners = [owner_of(world.fleet, name) for _pool, name in stone.volumes]
    return TombstoneStatus(
        vm=stone.vm,
        kind=stone.kind,
        since=stone.since,
        left=expiry.left,
        host=stone.host,
        pools=tuple(dict.fromkeys(pool for pool, _name in stone.volumes)),
        disks=tuple(dict.fromkeys(owner.disk for owner in owners if owner is not None and owner.disk)),
        size=_size(world, stone),
        message=_message(expiry),
    )


def _size(world: World, stone: Tombstone) -> int | None:
    sizes = []
    for pool, name in stone.volumes:
        observed = world.observed_pool(pool, stone.host)
        volume = (observed.volumes or {}).get(name) if observed is not None else None
        if volume is None:
            return None
        sizes.append(volume.allocation)
    return sum(sizes)


def _message(expiry: Expiry) -> str:
    stone = expiry.stone
    if not expiry.parts:
        return "its VM is in the specs again"
    doubt = expiry.doubt() if expiry.left <= 0 else ""
    if doubt:
        return f"stays for now: {doubt}"
    if expiry.left <= 0:
        return "is deleted for good now"
    return f"replaced by {stone.restore}" if stone.restore else ""

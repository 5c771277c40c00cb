"""What an action occupies while it runs: counted places, so that limits and locks are one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from reconciler.model.capture_steps import CaptureImage
from reconciler.model.plan import Action
from reconciler.model.policy import Limits, Policy
from reconciler.model.restores import RestoreDisk
from reconciler.model.steps import (
    CreateVolume,
    DefinePool,
    DeleteVersion,
    DeleteVolume,
    DrillImage,
    FenceHost,
    FetchImage,
    GrowVolume,
    MigrateDomain,
    StartDomain,
    StartPool,
    StopDomain,
    UploadImage,
    WriteSeed,
)

_DRILLS_PER_FLEET: Final = 1
_FENCINGS_PER_FLEET: Final = 1
_TRANSFERS_PER_FLEET: Final = 8
_TRANSFERS_PER_HOST: Final = 2
_SHUTDOWNS_PER_HOST: Final = 32


class Slot(NamedTuple):
    """A place that at most `capacity` actions hold at once."""

    name: str
    capacity: int


def slots_of(action: Action, policy: Policy, shared_pools: frozenset[str]) -> tuple[Slot, ...]:
    """Every slot that `action` holds while it runs."""
    return (*_lane(action, policy), *_locks(action, shared_pools))


def workers_for(policy: Policy) -> int:
    """Threads that can be busy at once; one fleet-wide action at a time means one after the other, in plan order."""
    limits = policy.limits
    if limits.actions_per_fleet == 1:
        return 1
    return (
        2 * limits.actions_per_fleet
        + policy.migration.parallel_fleet
        + policy.capture.parallel_fleet
        + _TRANSFERS_PER_FLEET
        + _FENCINGS_PER_FLEET
        + _DRILLS_PER_FLEET
    )


def _lane(action: Action, policy: Policy) -> Iterator[Slot]:
    limits, migration = policy.limits, policy.migration
    if limits.actions_per_fleet == 1:
        yield Slot("fleet", 1)
        return
    match action.step:
        case FenceHost():
            # One host at a time, and behind nothing else: every VM of it waits for this.
            yield Slot("fencing", _FENCINGS_PER_FLEET)
        case MigrateDomain(source=source):
            # Minutes long, as transfers are; what is followed after a restart counts like what begins.
            yield Slot("migrations", migration.parallel_fleet)
            yield Slot(f"migrations from {source}", migration.parallel_per_source)
        case DrillImage():
            # As long as a guest takes to boot, or to fail to: one at a time, and in nobody's way.
            yield Slot("drills", _DRILLS_PER_FLEET)
        case CaptureImage(host=host):
            yield Slot("captures", policy.capture.parallel_fleet)
            yield Slot(f"captures of {host}", policy.capture.parallel_per_host)
        case FetchImage() | UploadImage() | RestoreDisk():
            # Minutes long and bound by the network: in a lane of their own they hold up nothing else.
            yield Slot("transfers", _TRANSFERS_PER_FLEET)
            yield Slot(f"transfers {action.host}", _TRANSFERS_PER_HOST)
        case StopDomain():
            # Nearly all of it is waiting for a guest, which costs the host nothing.
            yield Slot("shutdowns", limits.actions_per_fleet)
            yield Slot(f"shutdowns {action.host}", _SHUTDOWNS_PER_HOST)
        case StartDomain():
            # In a lane of their own: the disks and definitions of the next ones are made while these take their time.
            yield Slot("starts", limits.actions_per_fleet)
            yield Slot(f"starts {action.host}", limits.starts_per_host)
        case _:
            yield from _work(action, limits)


def _work(action: Action, limits: Limits) -> Iterator[Slot]:
    yield Slot("fleet", limits.actions_per_fleet)
    yield Slot(f"host {action.host}", limits.actions_per_host)


def _locks(action: Action, shared_pools: frozenset[str]) -> Iterator[Slot]:
    if action.target.kind == "VirtualMachine":
        yield Slot(str(action.target), 1)
    match action.step:
        case (
            CreateVolume(pool=pool)
            | RestoreDisk(pool=pool)
            | GrowVolume(pool=pool)
            | WriteSeed(pool=pool)
            | DeleteVolume(pool=pool)
            | DeleteVersion(pool=pool)
        ):
            yield Slot(f"pool {_pool_key(pool, action, shared_pools)}", 1)
        case DefinePool(config=config):
            yield Slot(f"pool {_pool_key(config.name, action, shared_pools)}", 1)
        case StartPool(name=name):
            yield Slot(f"pool {_pool_key(name, action, shared_pools)}", 1)
        case UploadImage(pool=pool):
            # Not the pool's own lock: libvirt creates volumes while a stream runs, it only can't refresh meanwhile.
            yield Slot(f"upload {_pool_key(pool, action, shared_pools)}", 1)
        case _:
            pass


def _pool_key(pool: str, action: Action, shared_pools: frozenset[str]) -> str:
    return pool if pool in shared_pools else f"{pool} on {action.host}"

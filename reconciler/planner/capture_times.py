"""When a captured image is to get a new version, and since when it waits for one."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from reconciler.model.image import Image
from reconciler.model.plan import Why
from reconciler.model.version import seconds_of, stamp_of
from reconciler.planner.schedules import due_instant, last_instant
from reconciler.planner.world import World

NOT_SCHEDULED: Final = 0.0


class Wanted(Struct, frozen=True):
    """A version that is to be made. Wall times in seconds."""

    why: Why
    since: float
    stamp: str
    due: float = NOT_SCHEDULED
    """The instant of the schedule that has its capture with this one, whatever it is made for."""


def wanted(world: World, image: Image) -> Wanted | None:
    """The version that `image` is to get now; None where it has what it should.

    One of the schedule is named by the instant that it was due at, any other by when it is made: a version that was
    made up for says by its name what it stands for, and by `taken` what it holds.
    """
    name, cron, now = image.name, image.spec.schedule, world.now
    instant = last_instant(cron, now) if cron is not None else None
    served = NOT_SCHEDULED if instant is None else instant
    requested = world.ledger.capture_requests.get(name)
    if requested is not None:
        return Wanted("requested", requested, _free_stamp(world, name, now), served)
    if not world.ledger.versions.get(name):
        return Wanted("first-version", NOT_SCHEDULED, _free_stamp(world, name, now), served)
    due = due_instant(cron, _done(world, name), now) if cron is not None else None
    if due is None:
        return None
    return Wanted("schedule", due, _free_stamp(world, name, due), due)


def _done(world: World, name: str) -> list[float]:
    """Instants that had their capture: as was written down, or as versions say by themselves after a lost ledger."""
    had = [seconds_of(version.stamp) for version in world.ledger.versions.get(name, ())]
    noted = world.ledger.scheduled.get(name)
    return had if noted is None else [*had, noted]


def _free_stamp(world: World, name: str, at: float) -> str:
    """The stamp of `at`, or of a second shortly after it: what another one has or had is never given twice."""
    taken = {version.stamp for version in world.ledger.versions.get(name, ())}
    taken |= {removal.stamp for removal in world.ledger.removals if removal.image == name}
    while (stamp := stamp_of(at)) in taken:
        at += 1
    return stamp

"""When something with a schedule is due. All in UTC; what was missed is made up for once, however often it was missed.

`now` is a wall clock, which people set: to be due never rests on how long ago something was, only on which instants of
the schedule have had their run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from cronsim import CronSim
from msgspec import Struct


def last_instant(cron: str, now: float) -> float | None:
    """The newest instant of the schedule that is not after `now`; None where there was none within decades."""
    at = next(CronSim(cron, datetime.fromtimestamp(int(now) + 1, UTC), reverse=True), None)
    return None if at is None else at.timestamp()


def next_instant(cron: str, now: float) -> float | None:
    """The first instant of the schedule after `now`."""
    at = next(CronSim(cron, datetime.fromtimestamp(int(now), UTC)), None)
    return None if at is None else at.timestamp()


def due_instant(cron: str, done: Collection[float], now: float) -> float | None:
    """The instant whose run is missing now, or None. `done`: instants that had theirs, in any order.

    Those of `done` that are yet to come were had before the clock was set back: they neither count for what is due now
    nor are they had twice.
    """
    instant = last_instant(cron, now)
    if instant is None or any(instant <= had <= now for had in done):
        return None
    return instant


def explain(cron: str) -> str:
    """The schedule as a sentence: `at 02:00 every day (UTC)`."""
    sentence = CronSim(cron, datetime.fromtimestamp(0, UTC)).explain()
    return f"{sentence[:1].lower()}{sentence[1:]} (UTC)"


class Turn(Struct, frozen=True):
    """Something that is due and takes its share of what the fleet and one host may bear at once."""

    name: str
    host: str
    """Whose disks are read."""
    since: float
    """Who waits longest goes first."""


def whose_turn(waiting: Iterable[Turn], busy: Collection[str], *, per_fleet: int, per_host: int) -> tuple[str, ...]:
    """Names of those that may begin now, who waits longest first. `busy`: the host of each that is under way."""
    load: dict[str, int] = {}
    for host in busy:
        load[host] = load.get(host, 0) + 1
    room = per_fleet - len(busy)
    chosen: list[str] = []
    for turn in sorted(waiting, key=lambda turn: (turn.since, turn.name)):
        if len(chosen) >= room:
            break
        if load.get(turn.host, 0) < per_host:
            load[turn.host] = load.get(turn.host, 0) + 1
            chosen.append(turn.name)
    return tuple(chosen)

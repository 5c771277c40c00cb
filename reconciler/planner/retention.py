"""Which versions of an image stay, and because of what. No version ever goes because of what time it is.

Hours, days, weeks and months are those that have a version, counted from the newest one backwards: a clock that is set
forward by a year makes one version of the year to come, and no version old. Once it is set right again, that version is
left out of the count until its time has come: it must not take the place of one that is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from reconciler.model.retention import Retention


class Dated(Struct, frozen=True):
    """A version as retention sees it. `at` is its stamp in seconds since the epoch; `parent` a stamp."""

    stamp: str
    at: float
    parent: str | None = None


Reasons = Mapping[str, tuple[str, ...]]
"""By stamp: why a version stays, in words; what may go is not in it."""

_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


def kept(versions: Iterable[Dated], rules: Retention | None, now: float, used: Mapping[str, str] = _NOBODY) -> Reasons:
    """Which of `versions` stay; all without rules. `used`: by stamp, what needs it (`restored by …`).

    The newest stays whatever the rules say, and so does all that what stays is an increment of. `now` in seconds since
    the epoch; what is stamped later stays, and is not counted.
    """
    newest_first = sorted(versions, key=lambda version: (version.at, version.stamp), reverse=True)
    reasons = {version.stamp: ["of a time to come"] for version in newest_first if version.at > now}
    counted = newest_first[len(reasons) :]
    _keep_newest(counted, rules.last if rules is not None else 1, reasons)
    if rules is None:
        reasons |= {version.stamp: ["no retention"] for version in counted[1:]}
    else:
        for period, count in (
            (_HOUR, rules.hourly),
            (_DAY, rules.daily),
            (_WEEK, rules.weekly),
            (_MONTH, rules.monthly),
        ):
            if count:
                _keep_newest_of_each(counted, period, count, reasons)
    for version in newest_first:
        if version.stamp in used:
            reasons.setdefault(version.stamp, []).append(used[version.stamp])
    _keep_parents(newest_first, reasons)
    return {version.stamp: tuple(reasons[version.stamp]) for version in newest_first if version.stamp in reasons}


class _Period(Struct, frozen=True):
    adjective: str
    name: Callable[[datetime], str]
    """What two versions of one period have alike."""


def _keep_newest(newest_first: list[Dated], count: int, reasons: dict[str, list[str]]) -> None:
    for place, version in enumerate(newest_first[: max(count, 1)], 1):
        reasons.setdefault(version.stamp, []).append("newest" if place == 1 else f"last {place}")


def _keep_newest_of_each(newest_first: list[Dated], period: _Period, count: int, reasons: dict[str, list[str]]) -> None:
    seen: set[str] = set()
    for version in newest_first:
        name = period.name(datetime.fromtimestamp(version.at, UTC))
        if name in seen:
            continue
        if len(seen) == count:
            return
        seen.add(name)
        reasons.setdefault(version.stamp, []).append(f"{period.adjective} {name}")


def _keep_parents(newest_first: list[Dated], reasons: dict[str, list[str]]) -> None:
    """A child is followed up to its root whatever their stamps say: a clock may have been set back in between."""
    by_stamp = {version.stamp: version for version in newest_first}
    for stamp in list(reasons):
        child = by_stamp[stamp]
        while child.parent is not None and child.parent in by_stamp:
            base = reasons.setdefault(child.parent, [])
            words = f"base of {child.stamp}"
            if words in base:
                break  # from here on up others went before
            base.append(words)
            child = by_stamp[child.parent]


def _week(at: datetime) -> str:
    year, week, _ = at.isocalendar()
    return f"{year}-W{week:02d}"


_HOUR: Final = _Period("hourly", lambda at: f"{at:%Y-%m-%dT%HZ}")
_DAY: Final = _Period("daily", lambda at: f"{at:%Y-%m-%d}")
_WEEK: Final = _Period("weekly", _week)
_MONTH: Final = _Period("monthly", lambda at: f"{at:%Y-%m}")

"""When VMs may be disrupted: windows that come again, in the time of the people who depend on the VMs.

The time zone database is looked up by name, as a cron expression is: the same database gives the same instants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated, Final, Literal

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field

from reconciler.model.quantities import Duration, format_duration
from reconciler.model.resource import Items, Labels, Line, Model, Name

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
_MINUTE: Final = 60.0
_WEEK: Final = 7 * 86400.0


def _time_zone(value: str) -> str:
    _zone(value)
    return value


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415  for those who name one only

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no time zone that this machine knows; write UTC or a name such as Europe/Berlin"
            " (Debian has them in the package tzdata)"
        ) from error


def _time_of_day(value: str) -> str:
    if not _TIME_OF_DAY.match(value):
        raise ValueError(f"{value!r} is no time of day; write HH:MM, such as 03:00")
    return value


def _lasts(seconds: float) -> float:
    if not _MINUTE <= seconds <= _WEEK:
        raise ValueError("a window lasts from 1m to 7d")
    return seconds


class VmSelector(Model):
    """Which VMs; every VM when empty."""

    names: Items[Name] = ()
    """VMs by name; any VM when empty."""
    match_labels: Labels = Field(default_factory=dict)
    """Labels that a VM must have, all of them."""

    def matches(self, name: str, labels: Labels) -> bool:
        """Whether the VM `name` with `labels` is selected."""
        named = not self.names or name in self.names
        return named and all(labels.get(key) == value for key, value in self.match_labels.items())


class MaintenanceWindow(Model):
    """One window; it begins on each of its days."""

    start: Annotated[str, AfterValidator(_time_of_day)]
    """When it begins, such as `22:00`, in its time zone."""
    duration: Annotated[Duration, AfterValidator(_lasts)]
    """How long it lasts; what begins in it may end after it."""
    days: Items[Day] = ()
    """Days on which it begins, such as `[sat, sun]`; every day when empty."""
    time_zone: Annotated[Line, AfterValidator(_time_zone)] = "UTC"
    """Name of a time zone, such as `Europe/Berlin`. Where the clock jumps over the start, it begins as much later."""
    vms: VmSelector | None = None
    """VMs that have this window, and of those without `vms` none; all others when absent."""

    def instants(self, now: float) -> Iterator[tuple[float, float]]:
        """Beginnings and ends about `now`, oldest first, at least one of them after it; wall times in seconds."""
        zone = _zone(self.time_zone)
        hour, minute = int(self.start[:2]), int(self.start[3:])
        today = datetime.fromtimestamp(now, zone).date()
        back = int(self.duration // 86400) + 1
        for days in range(-back, 9):
            day = today + timedelta(days=days)
            if not self.days or _DAYS[day.weekday()] in self.days:
                begin = _instant(day, hour, minute, zone)
                yield begin, begin + self.duration

    @property
    def words(self) -> str:
        """`Sat, Sun 22:00 Europe/Berlin for 4h`."""
        days = ", ".join(day.title() for day in self.days) or "every day"
        return f"{days} {self.start} {self.time_zone} for {format_duration(self.duration)}"


def _instant(day: date, hour: int, minute: int, zone: tzinfo) -> float:
    """Of a time that comes twice the first; of one that is skipped, as long after the jump as it was to be."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp()


class Opening(Struct, frozen=True):
    """How windows stand at an instant; wall times in seconds."""

    until: float | None
    """When the last of those that are open ends; None where none is."""
    next: float | None = None
    """When the first one begins, where none is open."""


def opening(windows: Iterable[MaintenanceWindow], now: float) -> Opening:
    """Whether any of `windows` is open, and until when; else when one will be."""
    spans = [span for window in windows for span in window.instants(now)]
    open_ends = [end for begin, end in spans if begin <= now < end]
    if open_ends:
        return Opening(max(open_ends))
    return Opening(None, min((begin for begin, _ in spans if begin > now), default=None))


def windows_of(
    windows: Iterable[MaintenanceWindow], vm: str, labels: Labels | None
) -> tuple[MaintenanceWindow, ...] | None:
    """The windows that bind a VM: those that select it, else those for all; None where it is bound by none.

    `labels` is None where they are not known any more, as of a VM that left the specs: then any window may be its own.
    """
    known = tuple(windows)
    if labels is None:
        maybe = tuple(
            window for window in known if window.vms is None or not window.vms.names or vm in window.vms.names
        )
        return maybe or None
    own = tuple(window for window in known if window.vms is not None and window.vms.matches(vm, labels))
    return own or tuple(window for window in known if window.vms is None) or None


def _listed(value: object) -> object:
    """A list; or as one text, the way environment variables hold it: JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no list of windows; in a variable they are written as JSON") from error
    return tuple(value) if isinstance(value, list) else value


Windows = Annotated[tuple[MaintenanceWindow, ...], BeforeValidator(_listed)]

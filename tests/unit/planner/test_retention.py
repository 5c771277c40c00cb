"""Which versions retention lets go."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.retention import Retention
from reconciler.planner.retention import Dated, kept

_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def version(text: str, parent: str | None = None) -> Dated:
    return Dated(text, datetime.fromisoformat(f"{text}:00+00:00").timestamp(), parent)


def nightly(days: int) -> list[Dated]:
    """One version a night, the newest of 23 November 2026."""
    newest = datetime(2026, 11, 23, 2, tzinfo=UTC).timestamp()
    ats = [newest - 86400 * day for day in range(days)]
    return [Dated(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M}", at) for at in ats]


def test_each_rule_keeps_its_own_and_says_so() -> None:
    stays = kept(nightly(40), Retention(last=2, daily=3, weekly=2, monthly=2), _NOW)

    assert stays == {
        "2026-11-23T02:00": ("newest", "daily 2026-11-23", "weekly 2026-W48", "monthly 2026-11"),
        "2026-11-22T02:00": ("last 2", "daily 2026-11-22", "weekly 2026-W47"),
        "2026-11-21T02:00": ("daily 2026-11-21",),
        "2026-10-31T02:00": ("monthly 2026-10",),
    }


def test_of_an_hour_the_newest_version_stays() -> None:
    versions = [version("2026-11-23T02:00"), version("2026-11-23T02:30"), version("2026-11-23T03:15")]

    assert list(kept(versions, Retention(hourly=2), _NOW)) == ["2026-11-23T03:15", "2026-11-23T02:30"]


def test_days_without_a_version_are_not_counted() -> None:
    versions = [version("2026-01-01T02:00"), version("2026-06-01T02:00"), version("2026-11-23T02:00")]

    assert len(kept(versions, Retention(daily=3), _NOW)) == 3


def test_the_newest_version_stays_whatever_the_rules_say() -> None:
    """A server that was captured once, long ago, and a rule that would keep only hours."""
    assert list(kept([version("2020-01-01T02:00")], Retention(hourly=1), _NOW)) == ["2020-01-01T02:00"]


def test_what_is_in_use_stays_and_says_by_whom() -> None:
    stays = kept(nightly(5), Retention(last=1), _NOW, {"2026-11-20T02:00": "restored by VirtualMachine/web-1"})

    assert stays["2026-11-20T02:00"] == ("restored by VirtualMachine/web-1",)
    assert len(stays) == 2


def test_what_a_kept_increment_rests_on_stays_down_to_the_full_version() -> None:
    full, first, second = "2026-11-20T02:00", "2026-11-21T02:00", "2026-11-22T02:00"
    versions = [version(full), version(first, full), version(second, first), version("2026-11-23T02:00")]

    stays = kept(versions, Retention(last=2), _NOW)

    assert stays[first] == (f"base of {second}",)
    assert stays[full] == (f"base of {first}",)


def test_a_base_that_is_stamped_later_than_its_increment_stays() -> None:
    """The clock was set back between the two."""
    late, early = "2026-11-23T02:00", "2026-11-22T23:00"

    stays = kept([version(late), version(early, late)], Retention(last=1), _NOW, {early: "in use"})

    assert stays[late] == ("newest", f"base of {early}")


def test_without_rules_everything_stays() -> None:
    assert len(kept(nightly(400), None, _NOW)) == 400


def test_a_clock_that_is_a_year_ahead_makes_no_version_old() -> None:
    """The version of next year takes one place of each rule, as any new one does."""
    rules = Retention(last=3, daily=7, weekly=4, monthly=12)
    before = kept(nightly(100), rules, _NOW)
    ahead = version("2027-11-23T02:00")

    after = kept([*nightly(100), ahead], rules, _NOW + 365 * 86400)

    assert len(before.keys() - after.keys()) <= 3


def test_once_the_clock_is_right_again_a_version_of_the_time_to_come_takes_no_place_of_true_ones() -> None:
    stays = kept([*nightly(5), version("2027-11-23T02:00")], Retention(last=1), _NOW)

    assert stays == {"2027-11-23T02:00": ("of a time to come",), "2026-11-23T02:00": ("newest",)}


def test_a_clock_that_is_set_back_lets_nothing_go_that_stayed_before() -> None:
    rules = Retention(last=3, daily=7, weekly=4, monthly=12)
    versions = nightly(100)

    assert kept(versions, rules, _NOW).keys() <= kept(versions, rules, _NOW - 40 * 86400).keys()

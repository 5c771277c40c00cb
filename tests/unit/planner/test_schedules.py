"""When something with a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.planner.schedules import Turn, due_instant, explain, last_instant, next_instant, whose_turn

_NIGHTLY = "0 2 * * *"


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def said(instant: float | None) -> str:
    return "" if instant is None else f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        ("2026-11-23T01:59:59", "2026-11-22T02:00", "2026-11-23T02:00"),
        ("2026-11-23T02:00:00", "2026-11-23T02:00", "2026-11-24T02:00"),
        ("2026-11-23T02:00:01", "2026-11-23T02:00", "2026-11-24T02:00"),
    ],
)
def test_an_instant_is_of_the_second_that_it_begins_with(now: str, last: str, following: str) -> None:
    assert said(last_instant(_NIGHTLY, at(now))) == last
    assert said(next_instant(_NIGHTLY, at(now))) == following


def test_hours_that_people_skip_in_spring_are_as_others_are() -> None:
    """02:30 of the last Sunday of March does not exist in Berlin."""
    assert said(last_instant("30 2 * * *", at("2026-03-29T12:00:00"))) == "2026-03-29T02:30"


def test_what_never_ran_is_due_at_once() -> None:
    assert said(due_instant(_NIGHTLY, (), at("2026-11-23T12:00:00"))) == "2026-11-23T02:00"


def test_what_had_its_run_waits_for_the_next_instant() -> None:
    done = (at("2026-11-23T02:00:00"),)

    assert due_instant(_NIGHTLY, done, at("2026-11-24T01:59:59")) is None
    assert said(due_instant(_NIGHTLY, done, at("2026-11-24T02:00:00"))) == "2026-11-24T02:00"


def test_runs_that_were_missed_are_made_up_for_by_one() -> None:
    """A controller that was off for ten days."""
    now = at("2026-11-23T12:00:00")
    due = due_instant(_NIGHTLY, (at("2026-11-13T02:00:00"),), now)

    assert said(due) == "2026-11-23T02:00"
    assert due is not None
    assert due_instant(_NIGHTLY, (due,), now) is None


def test_a_clock_that_is_set_forward_by_a_year_makes_one_run_due() -> None:
    ahead = at("2027-11-23T12:00:00")
    due = due_instant(_NIGHTLY, (at("2026-11-23T02:00:00"),), ahead)

    assert due is not None
    assert due_instant(_NIGHTLY, (due,), ahead) is None


def test_a_run_of_a_time_to_come_does_not_stand_for_those_until_then() -> None:
    """The clock was a year ahead for a night, and is right again."""
    done = (at("2026-11-23T02:00:00"), at("2027-11-23T02:00:00"))

    assert due_instant(_NIGHTLY, done, at("2026-11-23T12:00:00")) is None
    assert said(due_instant(_NIGHTLY, done, at("2026-11-24T02:00:00"))) == "2026-11-24T02:00"


def test_an_instant_that_comes_twice_is_had_once() -> None:
    """The clock was set back by half an hour just after the run."""
    done = (at("2026-11-22T02:00:00"), at("2026-11-23T02:00:00"))

    assert due_instant(_NIGHTLY, done, at("2026-11-23T01:40:00")) is None
    assert due_instant(_NIGHTLY, done, at("2026-11-23T02:00:10")) is None


def test_the_schedule_is_said_in_a_sentence() -> None:
    assert explain("30 4 * * 0") == "at 04:30 on Sunday (UTC)"


def test_a_host_and_the_fleet_bear_so_many_at_once_and_who_waits_longest_goes_first() -> None:
    waiting = [Turn("a", "h1", 30), Turn("b", "h1", 10), Turn("c", "h2", 20), Turn("d", "h3", 40), Turn("e", "h4", 5)]

    assert whose_turn(waiting, ["h4"], per_fleet=4, per_host=1) == ("b", "c", "d")
    assert whose_turn(waiting, ["h4"], per_fleet=2, per_host=1) == ("b",)
    assert whose_turn(waiting, ["h4", "h2"], per_fleet=2, per_host=1) == ()

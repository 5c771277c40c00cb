"""Laws of retention that hold for every set of versions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.retention import Retention
from reconciler.planner.retention import Dated, kept

pytestmark = pytest.mark.no_cover  # a tracer makes it twice as long, and adds next to no line

_LAW = settings(max_examples=80, deadline=None)
_LATEST = 1_800_000_000
_COUNTS = st.integers(0, 6)


@st.composite
def versions(draw: st.DrawFn) -> list[Dated]:
    """Versions in any order; parents are of any time, but no circle."""
    hours = draw(st.lists(st.integers(0, 24 * 400), unique=True, max_size=40))
    found: list[Dated] = []
    for number, hour in enumerate(hours):
        parent = draw(st.none() | st.integers(0, number - 1)) if number else None
        at = _LATEST - hour * 3600 - draw(st.integers(0, 3599))
        found.append(Dated(f"v{number}", float(at), None if parent is None else found[parent].stamp))
    return draw(st.permutations(found))


@st.composite
def rules(draw: st.DrawFn) -> Retention:
    return Retention(
        last=1 + draw(_COUNTS),
        hourly=draw(_COUNTS),
        daily=draw(_COUNTS),
        weekly=draw(_COUNTS),
        monthly=draw(_COUNTS),
    )


def needed(found: list[Dated], data: st.DataObject) -> dict[str, str]:
    if not found:
        return {}
    return dict.fromkeys(data.draw(st.sets(st.sampled_from([version.stamp for version in found]))), "in use")


@given(versions(), rules(), st.integers(_LATEST - 500 * 86400, _LATEST + 500 * 86400), st.data())
@_LAW
def test_pruning_twice_is_pruning_once(found: list[Dated], rule: Retention, now: int, data: st.DataObject) -> None:
    used = needed(found, data)
    stays = kept(found, rule, now, used)

    left = [version for version in found if version.stamp in stays]

    assert kept(left, rule, now, used).keys() == stays.keys()


@given(versions(), rules(), rules(), st.data())
@_LAW
def test_a_rule_that_keeps_more_lets_nothing_go_that_stayed(
    found: list[Dated], rule: Retention, more: Retention, data: st.DataObject
) -> None:
    used = needed(found, data)
    both = Retention(
        last=rule.last + more.last,
        hourly=rule.hourly + more.hourly,
        daily=rule.daily + more.daily,
        weekly=rule.weekly + more.weekly,
        monthly=rule.monthly + more.monthly,
    )

    assert kept(found, rule, _LATEST, used).keys() <= kept(found, both, _LATEST, used).keys()


@given(versions(), rules(), st.data())
@_LAW
def test_what_is_used_and_what_it_rests_on_and_the_newest_stay(
    found: list[Dated], rule: Retention, data: st.DataObject
) -> None:
    used = needed(found, data)

    stays = kept(found, rule, _LATEST, used).keys()

    assert used.keys() <= stays
    assert all(version.parent in {*stays, None} for version in found if version.stamp in stays)
    if found:
        assert max(found, key=lambda version: (version.at, version.stamp)).stamp in stays


@given(versions(), rules(), st.integers(-500, 500))
@_LAW
def test_no_clock_lets_go_what_the_right_one_keeps(found: list[Dated], rule: Retention, days: int) -> None:
    """Nothing is stamped later than the right time; a wrong clock alone, with no new version, makes none old."""
    assert kept(found, rule, _LATEST).keys() <= kept(found, rule, _LATEST + days * 86400).keys()


@given(versions(), rules(), st.integers(0, 40))
@_LAW
def test_order_does_not_matter(found: list[Dated], rule: Retention, turn: int) -> None:
    turned = found[turn:] + found[:turn]

    assert kept(turned, rule, _LATEST) == kept(found, rule, _LATEST)

"""When a captured image gets a new version."""

from __future__ import annotations

from typing import Any

from reconciler.model.image import Image
from reconciler.model.version import ImageVersion, instant_of
from reconciler.planner.capture_times import Wanted, wanted
from reconciler.planner.world import make_world
from tests.support.fleets import POLICY
from tests.support.versions import IMAGE, at, captured_image, story, version

_NIGHTLY = {"schedule": "0 2 * * *"}


def asked(
    now: str, versions: tuple[ImageVersion, ...] = (), spec: dict[str, Any] | None = None, **ledger: Any
) -> Wanted | None:
    image = captured_image(**(_NIGHTLY if spec is None else spec))
    assert isinstance(image, Image)
    told = story(versions, image, now=at(now), ledger=ledger)
    return wanted(make_world(told.specs, told.inventory, told.ledger, POLICY, told.now), image)


def said(found: Wanted | None) -> str:
    return "" if found is None else f"{found.why} {instant_of(found.stamp)}"


def test_what_has_none_gets_its_first_at_once_named_by_now() -> None:
    found = asked("2026-11-23T15:04:05Z")

    assert said(found) == "first-version 2026-11-23T15:04:05Z"
    assert found is not None
    assert found.due == at("2026-11-23T02:00Z")


def test_the_instant_that_the_first_one_stands_for_is_not_made_up_for() -> None:
    first = (version("2026-11-23T15:04:05Z"),)

    assert said(asked("2026-11-23T16:00Z", first)) == ""
    assert said(asked("2026-11-23T16:00Z", (), scheduled={IMAGE: at("2026-11-23T02:00Z")})).startswith("first")
    assert said(asked("2026-11-24T02:00Z", first)) == "schedule 2026-11-24T02:00Z"


def test_a_missed_one_is_named_by_when_it_was_due() -> None:
    last = (version("2026-11-13T02:00Z"),)

    assert said(asked("2026-11-23T09:30Z", last)) == "schedule 2026-11-23T02:00Z"


def test_a_scheduled_one_that_people_deleted_is_not_made_again() -> None:
    last, done = (version("2026-11-22T02:00Z"),), {IMAGE: at("2026-11-23T02:00Z")}

    assert said(asked("2026-11-23T09:30Z", last, scheduled=done)) == ""


def test_after_the_ledger_was_lost_versions_say_which_instants_were_had() -> None:
    assert said(asked("2026-11-23T09:30Z", (version("2026-11-23T02:00Z"),))) == ""


def test_people_get_theirs_whatever_the_schedule_says() -> None:
    requests = {IMAGE: at("2026-11-23T09:00Z")}

    assert (
        said(asked("2026-11-23T09:30Z", (version("2026-11-23T02:00Z"),), capture_requests=requests))
        == "requested 2026-11-23T09:30Z"
    )


def test_a_name_is_never_given_twice() -> None:
    last, requests = (version("2026-11-23T09:30Z"),), {IMAGE: 0.0}

    assert said(asked("2026-11-23T09:30Z", last, capture_requests=requests)) == "requested 2026-11-23T09:30:01Z"


def test_a_year_ahead_and_back_again_is_one_more_version() -> None:
    """The clock was wrong for a night."""
    right = (version("2026-11-23T02:00Z"),)
    ahead = "2027-11-23T09:30Z"

    assert said(asked(ahead, right)) == "schedule 2027-11-23T02:00Z"
    both, noted = (*right, version("2027-11-23T02:00Z")), {IMAGE: at("2027-11-23T02:00Z")}
    assert said(asked(ahead, both, scheduled=noted)) == ""
    assert said(asked("2026-11-23T09:30Z", both, scheduled=noted)) == ""
    assert said(asked("2026-11-24T02:00Z", both, scheduled=noted)) == "schedule 2026-11-24T02:00Z"


def test_without_a_schedule_one_is_enough() -> None:
    assert said(asked("2026-11-23T15:00Z", (version("2020-01-01T00:00Z"),), spec={})) == ""

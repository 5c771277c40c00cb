"""Guests are disrupted on purpose in their maintenance windows alone; failures wait for none."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from reconciler.model.policy import Policy
from reconciler.model.windows import MaintenanceWindow, opening, windows_of
from reconciler.planner.plan_check import check
from reconciler.planner.planner import plan as make_plan
from tests.support.fleets import FLEET, NOW, Story, story, vm

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = 3600.0
# NOW is Monday, 1970-01-12 13:46:40 UTC.
OPEN: dict[str, Any] = {"start": "13:00", "duration": "1h"}
SHUT: dict[str, Any] = {"start": "22:00", "duration": "2h"}


def window(**fields: Any) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate(fields)


def policy(*windows: Mapping[str, Any], **fields: Any) -> Policy:
    return Policy.model_validate({"fleet": FLEET, "windows": [*windows], **fields})


def at(zone: str, *parts: int) -> float:
    return dt.datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type, misc]


def bigger(*windows: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> Story:
    """A running VM that is to be restarted with more memory, under these windows."""
    before = story(vm(labels=labels, updatePolicy="restart")).converged()
    after = before.with_specs(vm(labels=labels, updatePolicy="restart", memory="2GiB"))
    return replace(after, policy=policy(*windows))


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_window_is_open_from_its_start_to_its_end() -> None:
    night = window(start="22:00", duration="4h", days=["sat"])
    begin = at("UTC", 2026, 11, 28, 22, 0)

    assert opening([night], begin - 1) == opening([night], begin - 1 - HOUR)
    assert opening([night], begin - 1).next == begin
    assert opening([night], begin).until == begin + 4 * HOUR
    assert opening([night], begin + 4 * HOUR - 1).until == begin + 4 * HOUR
    assert opening([night], begin + 4 * HOUR).next == begin + 7 * 24 * HOUR


def test_windows_that_overlap_end_with_the_last() -> None:
    both = [window(start="22:00", duration="2h"), window(start="23:00", duration="3h")]

    assert opening(both, at("UTC", 2026, 11, 28, 23, 30)).until == at("UTC", 2026, 11, 29, 2, 0)


def test_a_window_keeps_to_the_clock_on_the_wall_when_that_is_changed() -> None:
    night = window(start="22:00", duration="1h", timeZone="Europe/Berlin")

    assert opening([night], at("UTC", 2026, 3, 28, 21, 30)).until is not None
    assert opening([night], at("UTC", 2026, 3, 29, 20, 30)).until is not None
    assert opening([night], at("UTC", 2026, 3, 29, 21, 30)).until is None


def test_a_window_whose_start_the_clock_jumps_over_begins_as_much_later_and_is_as_long() -> None:
    night = window(start="02:30", duration="1h", timeZone="Europe/Berlin")
    jump = at("UTC", 2026, 3, 29, 1, 0)

    assert opening([night], jump).next == jump + HOUR / 2
    assert opening([night], jump + HOUR / 2).until == jump + 1.5 * HOUR


def test_a_window_whose_start_comes_twice_begins_once() -> None:
    night = window(start="02:30", duration="30m", timeZone="Europe/Berlin")
    first = at("UTC", 2026, 10, 25, 0, 30)

    assert opening([night], first).until == first + HOUR / 2
    assert opening([night], first + HOUR).until is None


def test_a_vm_that_a_window_selects_has_that_one_alone() -> None:
    general, own = window(**SHUT), window(**OPEN, vms={"matchLabels": {"app": "db"}})

    assert windows_of((general, own), "db-1", {"app": "db"}) == (own,)
    assert windows_of((general, own), "web", {}) == (general,)
    assert windows_of((own,), "web", {}) is None
    assert windows_of((own,), "gone", None) == (own,)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": "25:00", "duration": "1h"}, "start"),
        ({"start": "22:00", "duration": "8d"}, "1m to 7d"),
        ({"start": "22:00", "duration": "1h", "timeZone": "Europe/Atlantis"}, "no time zone"),
        ({"start": "22:00", "duration": "1h", "timeZone": "../etc/passwd"}, "no time zone"),
        ({"start": "22:00", "duration": "1h", "days": ["Saturday"]}, "days"),
    ],
)
def test_a_window_that_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        window(**fields)


# -- plans -------------------------------------------------------------------------------------------------------------


def test_a_restart_waits_for_its_window_and_says_until_when() -> None:
    fleet = bigger(SHUT)

    held = fleet.unmet()["outside-window"]

    assert fleet.kinds() == ["redefine-domain"]
    assert held.severity == "waiting"
    assert "opens at 1970-01-12 22:00Z, in 8 h 13 min (every day 22:00 UTC for 2h)" in held.detail
    assert [(change.field, change.disruption) for change in held.changes] == [("memory", "reboot")]


def test_a_restart_goes_on_in_its_window_and_is_not_begun_after_it() -> None:
    actions = {action.kind: action for action in bigger(SHUT, OPEN).plan().actions}

    assert list(actions) == ["redefine-domain", "stop-domain", "start-domain"]
    assert actions["stop-domain"].until == at("UTC", 1970, 1, 12, 14, 0)
    assert actions["start-domain"].until is None
    assert actions["redefine-domain"].until is None


def test_what_was_shut_down_in_the_window_is_started_after_it() -> None:
    fleet = bigger(OPEN)
    stopped = replace(fleet.applied().domain(), state="shutoff", live=None)
    placed = fleet.ledger.placements["web"]
    cut_off = fleet.applied().with_domain(stopped).with_ledger(placements={"web": replace(placed, ran=False)})

    assert replace(cut_off, now=NOW + HOUR).kinds() == ["start-domain"]


def test_a_vm_without_a_window_is_not_held() -> None:
    other = {**SHUT, "vms": {"matchLabels": {"app": "db"}}}

    assert "stop-domain" in bigger(other).kinds()
    assert "stop-domain" not in bigger(other, labels={"app": "db"}).kinds()


def test_a_vm_is_removed_in_a_window_alone_also_where_its_labels_are_not_known_any_more() -> None:
    fleet = story(vm()).converged().with_specs(without=["VirtualMachine/web"])
    labelled = {**SHUT, "vms": {"matchLabels": {"app": "db"}}}

    assert replace(fleet, policy=policy(labelled)).plan().empty
    assert replace(fleet, policy=policy(labelled)).unmet()["outside-window"]
    assert replace(fleet, policy=policy(OPEN)).kinds() == ["stop-domain", "undefine-domain"]


def test_what_is_changed_without_a_disruption_waits_for_no_window() -> None:
    fleet = story(vm()).converged().with_specs(vm(title="the shop"))

    assert replace(fleet, policy=policy(SHUT)).kinds() == fleet.kinds() != []


def test_what_is_off_is_changed_at_any_time() -> None:
    fleet = story(vm(runStrategy="Halted", updatePolicy="restart")).converged()
    changed = fleet.with_specs(vm(updatePolicy="restart", memory="2GiB"))

    assert replace(changed, policy=policy(SHUT)).kinds() == ["redefine-domain", "start-domain"]


def test_a_dead_hosts_vms_are_recovered_outside_of_every_window() -> None:
    before = story(vm(), shared=True).converged()
    home = next(name for name, host in before.inventory.hosts.items() if "web" in host.domains)
    lost = replace(before.lost(home).proven(home), policy=policy(SHUT))

    assert lost.kinds() == ["define-domain", "start-domain"]


def test_a_guest_that_crashed_is_run_again_outside_of_every_window() -> None:
    fleet = story(vm()).converged()
    crashed = replace(fleet.domain(), state="shutoff", reason="crashed", live=None)

    assert replace(fleet.with_domain(crashed), policy=policy(SHUT)).kinds() == ["start-domain"]


def test_a_plan_that_disrupts_outside_of_the_windows_is_refused() -> None:
    fleet = bigger(OPEN)
    made = make_plan(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.now)
    inputs = (made, fleet.specs, fleet.inventory, fleet.ledger, policy(SHUT))

    assert "outside of the windows of VirtualMachine/web" in " ".join(check(*inputs, fleet.now))

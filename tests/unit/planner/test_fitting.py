"""A VM that grows beyond its host: it is left as it is, and that is said before anything is stopped or staged."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.fleets import GIB, Story, host, story, vm

WEB = ["VirtualMachine/web"]


def grown(fleet: Story, **spec: Any) -> Story:
    return fleet.with_specs(vm(**spec), without=WEB)


@pytest.mark.parametrize("policy", ["restart", "stage"])
@pytest.mark.parametrize(
    ("size", "told"),
    [
        ({"memory": "100GiB"}, "memory 100GiB does not fit on h1, which has 16GiB for it (of 16GiB); left at 1GiB"),
        ({"maxMemory": "100GiB"}, "memory 100GiB does not fit on h1, which has 16GiB for it (of 16GiB); left at 1GiB"),
        ({"cpu": {"count": 33}}, "33 CPUs do not fit on h1, which has 32 for it (of 32); left at 1"),
    ],
)
def test_a_running_vm_that_would_outgrow_its_host_is_left_as_it_is(
    policy: str, size: dict[str, Any], told: str
) -> None:
    fleet = grown(story(vm(updatePolicy=policy), hosts=1).converged(), updatePolicy=policy, **size)

    assert fleet.plan().empty
    found = fleet.unmet()["no-room"]
    assert (found.severity, found.host) == ("blocked", "h1")
    assert found.detail == told


def test_a_vm_that_grows_within_what_is_left_is_changed() -> None:
    fleet = grown(story(vm(updatePolicy="restart"), hosts=1).converged(), updatePolicy="restart", memory="16GiB")

    assert fleet.kinds() == ["redefine-domain", "stop-domain", "start-domain"]
    assert "no-room" not in fleet.unmet()


def test_what_others_have_and_what_is_reserved_is_not_given_twice() -> None:
    specs = (vm(), vm("db", memory="4GiB"), host("h1", reserved={"memory": "2GiB"}))
    fleet = grown(story(*specs, hosts=1).converged(), memory="11GiB")

    assert "has 10GiB for it (of 14GiB)" in fleet.unmet()["no-room"].detail


def test_of_two_that_grow_only_one_gets_the_last_room() -> None:
    fleet = story(vm("a", memory="6GiB"), vm("b", memory="6GiB"), hosts=1).converged()
    both = fleet.with_specs(
        vm("a", memory="10GiB"), vm("b", memory="10GiB"), without=["VirtualMachine/a", "VirtualMachine/b"]
    )

    assert both.kinds("VirtualMachine/a") == ["redefine-domain"]
    assert both.kinds("VirtualMachine/b") == []
    assert "no-room" in both.unmet("VirtualMachine/b")


def test_a_vm_that_grows_keeps_new_ones_from_its_room() -> None:
    fleet = story(vm(memory="6GiB"), hosts=1).converged()
    both = fleet.with_specs(vm(memory="12GiB"), vm("new", memory="8GiB"), without=WEB)

    assert both.kinds("VirtualMachine/web") == ["redefine-domain"]
    assert dict(both.unmet("VirtualMachine/new")["no-host-fits"].per_host) == {"h1": "lacks 4GiB of memory"}


def test_a_host_that_is_promised_away_has_nothing_to_give() -> None:
    fleet = story(vm(), hosts=1).converged().with_specs(host("h1", reserved={"memory": "20GiB"}))

    assert "has 0B for it" in grown(fleet, memory="2GiB").unmet()["no-room"].detail


def test_the_rest_of_the_spec_is_applied() -> None:
    fleet = grown(story(vm(), hosts=1).converged(), memory="100GiB", graphics="vnc")

    assert [change.field for change in fleet.action("redefine-domain").changes][:1] == ["graphics"]
    assert fleet.applied().unmet().keys() == {"no-room", "restart-pending"}


def test_a_size_that_was_staged_and_has_no_room_any_more_is_taken_back() -> None:
    """Else the guest would not come up again when it reboots."""
    fleet = story(vm(), hosts=1).converged()
    staged = grown(fleet.edited(memory=100 * GIB, max_memory=100 * GIB), memory="100GiB")

    assert staged.applied().domain().config.memory == GIB
    assert staged.applied().plan().empty


def test_a_vm_that_is_off_is_started_as_it_was() -> None:
    fleet = story(vm(), hosts=1).converged()
    off = replace(fleet.domain(), state="crashed", live=None, reason="crashed")
    fleet = grown(fleet.with_domain(off), memory="100GiB")

    assert fleet.kinds() == ["start-domain"]
    assert "no-room" in fleet.unmet()


def test_a_halted_vm_may_have_any_size_that_its_host_could_ever_give() -> None:
    specs = (vm(runStrategy="Halted"), vm("db", memory="14GiB"))
    fleet = story(*specs, hosts=1).converged()

    assert grown(fleet, runStrategy="Halted", memory="16GiB").kinds() == ["redefine-domain"]
    assert "no-room" in grown(fleet, runStrategy="Halted", memory="17GiB").unmet()


def test_a_vm_that_shrinks_on_a_full_host_is_changed() -> None:
    fleet = story(vm(memory="8GiB"), hosts=1).converged().with_specs(host("h1", reserved={"memory": "12GiB"}))

    assert grown(fleet, memory="6GiB").kinds() == ["redefine-domain", "edit-live"]

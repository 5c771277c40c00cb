"""Laws of kept passes: what comes back is what was kept, and it is planned to the same plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.daemon.pass_codec import decode, encode, pass_input, plan_digest
from reconciler.model.health import FenceProof, FenceTest, HostHealth, Incident
from reconciler.model.ledger import DoomedVolume, Failure, VolumeIntent
from reconciler.planner.planner import plan as make_plan
from tests.support.fleets import NOW, POLICY, Story, facts, host, observed, story, stranger, vm
from tests.support.random_fleets import HOSTS, changed_specs, meddled, new_fleets

_LAW: Final = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def assert_replays(fleet: Story) -> None:
    """The input survives whole, and so does all that is decided from it."""
    plan = fleet.plan()
    kept = pass_input("abc", fleet.specs, fleet.inventory, fleet.ledger, POLICY, plan, fleet.now)

    back = decode(encode(kept), "a file")

    assert back == kept
    again = make_plan(back.desired, back.inventory, back.ledger, back.policy, back.at)
    assert again == plan
    assert repr(again) == repr(plan)
    assert plan_digest(again) == kept.digest


@given(st.data())
@_LAW
def test_a_pass_over_any_fleet_is_planned_again_to_the_same_plan(data: st.DataObject) -> None:
    before = data.draw(new_fleets())
    fleet = data.draw(st.one_of(st.just(before), meddled(before.applied())))
    fleet = data.draw(st.one_of(st.just(fleet), changed_specs(fleet)))

    assert_replays(fleet.losing_sight_of(*data.draw(st.sets(st.sampled_from(HOSTS)))))


def _with_a_full_ledger() -> Story:
    fleet = story(vm(), vm("db"), host("h1", fencing=[{"agent": "fence_ipmilan", "secrets": {"passwd": {"env": "P"}}}]))
    return fleet.with_ledger(
        failures={"x@h1": Failure("x@h1", 2, "no", permanent=False, not_before=NOW + 0.1, inputs="0")},
        intents=frozenset({VolumeIntent("vms", "v", "h1")}),
        doomed=frozenset({DoomedVolume("db", "vms", "v", "h2")}),
        in_flight=frozenset({"VirtualMachine/db"}),
        paused=frozenset({"VirtualMachine/web"}),
        restarts={"web": (NOW - 10.5, NOW - 1)},
        silent_guests={"db": NOW - 1},
        read_seconds={"h1": 1 / 3},
        health={"h2": HostHealth("h2", "unreachable", "rule", "a sentence", NOW, None)},
        incidents={"h2": Incident("i1", "h2", NOW, None)},
        proofs={"h2": FenceProof("h2", "i1", "human", NOW, "seen", "me")},
        fence_tests={"h1": FenceTest("h1", NOW, True, "0", "on")},
    )


def _with_a_stranger() -> Story:
    fleet = story(vm()).converged()
    return fleet.with_domain(stranger("other", fleet.domain().config))


def _with_a_crashed_guest() -> Story:
    fleet = story(vm(runStrategy="RerunOnFailure")).converged()
    return fleet.with_domain(observed(fleet.domain().config, "shutoff", reason="crashed"))


@pytest.mark.parametrize(
    "made",
    [
        story,
        lambda: story(vm(), shared=True),
        lambda: story(vm(cloudInit={"userData": "#!/bin/sh\n\N{SNOWMAN}", "onChange": "reseed"}, maxMemory="3GiB")),
        lambda: story(vm(watchdog={"action": "pause"}, guestAgent={"liveness": "30s"})).converged(),
        lambda: story(vm()).converged().edited(memory=1 << 29),
        lambda: story(vm()).with_image(facts(error="it is damaged", cached=False, digest=None, virtual_size=None)),
        _with_a_full_ledger,
        _with_a_stranger,
        _with_a_crashed_guest,
    ],
)
def test_a_pass_of_every_kind_is_planned_again_to_the_same_plan(made: Callable[[], Story]) -> None:
    assert_replays(made())

"""A guest that is run at its target before all of its memory is there: when, and what a cut means then."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused
from reconciler.model import identity
from reconciler.model.migration import Fallback, MigrationRules
from reconciler.model.outcome import Outcome
from reconciler.model.steps import MigrateDomain, StopDomain
from tests.unit.executor.bench import FLEET, MIB, Bench

UUID: Final = identity.vm_uuid(FLEET, "web")
RULES: Final = MigrationRules(deadline=120.0, stall_after=30.0, post_copy=True)
STEP: Final = MigrateDomain("web", UUID, "h1", "h2", 2, "qemu+ssh://h2.example/system", RULES, trusts_sharing=True)


@pytest.fixture
def restless(bench: Bench) -> Bench:
    """It runs, and writes as fast as its memory can be sent: 1 GiB in 50 s."""
    bench.with_vm(running=True)
    bench.fleet.world.migration_rate = 20 * MIB
    bench.fleet.world.restless.add("web")
    return bench


def switched(bench: Bench) -> list[str]:
    return [call.method for call in bench.fleet.calls if call.method == "switch_to_post_copy"]


def cut(bench: Bench) -> None:
    """The network of the target fails once the guest runs there."""
    wait = bench.clock.wait

    def waited(event: object, seconds: float) -> bool:
        leaving = bench.fleet.world.leaving.get(UUID)
        if leaving is not None and leaving.is_switched:
            bench.fleet.cut_network("h2")
        return wait(event, seconds)  # type: ignore[arg-type]

    bench.clock.wait = waited  # type: ignore[method-assign, assignment]


def test_a_guest_that_does_not_come_to_rest_is_run_at_its_target(restless: Bench) -> None:
    outcome = restless.run_one(STEP, host="h2")

    placement = restless.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert "by post-copy" in outcome.message
    assert len(switched(restless)) == 1
    assert restless.h2.domain(UUID).state == "running"
    assert restless.h1.domain_by_name("web") is None
    assert placement is not None
    assert (placement.host, placement.epoch) == ("h2", 2)


@pytest.mark.parametrize("why", ["calm", "not-allowed"])
def test_nothing_is_switched_over_that_need_not_or_must_not_be(restless: Bench, why: str) -> None:
    if why == "calm":
        restless.fleet.world.restless.clear()
    step = STEP if why == "calm" else replace(STEP, rules=replace(RULES, post_copy=False))

    restless.run_one(step, host="h2")

    assert switched(restless) == []


@pytest.mark.parametrize(("fallback", "is_remembered"), [("abort", False), ("cold", True)])
def test_where_it_is_refused_the_fallback_is_next(restless: Bench, fallback: Fallback, is_remembered: bool) -> None:
    restless.fleet.fail_next("h1", "switch_to_post_copy", HostRefused("no userfaultfd", host="h1"))

    outcome = restless.run_one(replace(STEP, rules=replace(RULES, fallback=fallback)), host="h2")

    placement = restless.ledger.placement("web")
    assert "was not there within 2m" in outcome.message
    assert placement is not None
    assert (placement.outran_at is not None) == is_remembered
    assert restless.h1.domain(UUID).state == "running"


def test_a_switch_over_whose_reply_is_lost_is_seen_and_not_undone(restless: Bench) -> None:
    restless.fleet.lose_reply("h1", "switch_to_post_copy")

    outcome = restless.run_one(STEP, host="h2")

    assert outcome.status == "done", outcome
    assert "abort_migration" not in [call.method for call in restless.fleet.calls]


def test_one_that_was_switched_over_is_not_given_up_at_its_deadline(restless: Bench) -> None:
    """It can't be called back; a controller that follows knows that too."""
    restless.fleet.world.migration_rate = 9 * MIB

    outcome = restless.run_one(replace(STEP, rules=replace(RULES, deadline=121.0)), host="h2")

    assert outcome.status == "done", outcome
    assert "abort_migration" not in [call.method for call in restless.fleet.calls]


@pytest.fixture
def halved(restless: Bench) -> Bench:
    """The network failed after the switch-over, and that was told."""
    wait = restless.clock.wait
    cut(restless)
    outcome = restless.run_one(STEP, host="h2")
    restless.clock.wait = wait  # type: ignore[method-assign]
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert "its post-copy was cut" in outcome.message
    assert "virsh destroy web, on both" in outcome.hint
    return restless


def followed(bench: Bench) -> Outcome:
    return bench.run_one(replace(STEP, begun=True), host="h2")


def test_what_was_cut_in_two_has_neither_stayed_nor_arrived(halved: Bench) -> None:
    placement = halved.ledger.placement("web")
    assert placement is not None
    assert (placement.host, placement.epoch) == ("h1", 1)
    assert halved.ledger.migration("web") is not None
    assert halved.h1.domain(UUID).is_broken
    assert halved.fleet.people("h2").entry("web").reason == "postcopy"


def test_it_goes_on_once_the_hosts_reach_one_another_and_has_arrived_then(halved: Bench) -> None:
    halved.fleet.restore_network("h2")
    halved.clock.wait(halved.stop, 60)

    outcome = followed(halved)

    placement = halved.ledger.placement("web")
    assert outcome.status == "done", outcome
    assert placement is not None
    assert (placement.host, placement.epoch) == ("h2", 2)
    assert halved.h2.domain(UUID).state == "running"
    assert halved.h1.domain_by_name("web") is None


@pytest.mark.parametrize(
    ("ended", "home"), [(("h1", "h2"), "h2"), (("h1",), None), (("h2",), None)], ids=["both", "source", "target"]
)
def test_it_is_settled_once_people_have_ended_both_halves(
    halved: Bench, ended: tuple[str, ...], home: str | None
) -> None:
    for name in ended:
        halved.fleet.people(name).destroy("web")
    halved.fleet.restore_network("h2")

    outcome = followed(halved)

    placement = halved.ledger.placement("web")
    assert placement is not None
    assert (outcome.status == "done", halved.ledger.migration("web") is None) == (home is not None, home is not None)
    assert placement.host == (home or "h1")


def test_a_half_that_has_become_whole_again_is_not_ended(halved: Bench) -> None:
    halved.fleet.restore_network("h2")
    halved.clock.wait(halved.stop, 60)

    outcome = halved.run_one(StopDomain("web", UUID, 0.0, force=True), host="h2")

    assert "not half lost any more" in outcome.message
    assert halved.h2.domain(UUID).state == "running"


def test_a_half_that_we_ended_has_not_ended_by_itself(halved: Bench) -> None:
    halved.fleet.people("h1").destroy("web")
    halved.fleet.restore_network("h2")

    ended = halved.run_one(StopDomain("web", UUID, 0.0, force=True), host="h2")
    followed(halved)

    placement = halved.ledger.placement("web")
    assert ended.status == "done", ended
    assert placement is not None
    assert (placement.host, placement.ran) == ("h2", False)

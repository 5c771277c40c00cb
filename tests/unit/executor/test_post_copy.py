"""A guest that is run at its target before all of its memory is there: when, and what a cut means then."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused
from reconciler.model import identity
from reconciler.model.migration import Fallback, MigrationRules
from reconciler.model.steps import MigrateDomain
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
    """The network fails once the guest runs at its target."""
    wait = bench.clock.wait

    def waited(event: object, seconds: float) -> bool:
        leaving = bench.fleet.world.leaving.get(UUID)
        if leaving is not None and leaving.is_switched:
            bench.fleet.cut_network("h2")
            bench.h1.migration_job(UUID)  # the two hosts notice
            bench.fleet.restore_network("h2")
        return wait(event, seconds)  # type: ignore[arg-type]

    bench.clock.wait = waited  # type: ignore[method-assign, assignment]


def test_a_guest_that_does_not_come_to_rest_is_run_at_its_target(restless: Bench) -> None:
    outcome = restless.run_one(STEP, host="h2")

    placement = restless.ledger.placement("web")
    assert outcome.status == "done", outcome
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


def test_a_cut_after_the_switch_over_is_told_as_such_and_nothing_has_stayed_or_arrived(restless: Bench) -> None:
    cut(restless)

    outcome = restless.run_one(STEP, host="h2")

    placement = restless.ledger.placement("web")
    assert (outcome.status, outcome.transient) == ("failed", True)
    assert "its post-copy failed" in outcome.message
    assert "virsh destroy web, on both" in outcome.hint
    assert placement is not None
    assert (placement.host, placement.epoch) == ("h1", 1)
    assert restless.ledger.migration("web") is not None
    assert [host.domain(UUID).is_broken for host in (restless.h1, restless.h2)] == [True, True]


@pytest.mark.parametrize(
    ("ended", "home"), [(("h1", "h2"), "h2"), (("h1",), None), (("h2",), None)], ids=["both", "source", "target"]
)
def test_it_is_settled_once_both_halves_are_ended(restless: Bench, ended: tuple[str, ...], home: str | None) -> None:
    cut(restless)
    restless.run_one(STEP, host="h2")
    for name in ended:
        restless.fleet.people(name).destroy("web")

    outcome = restless.run_one(replace(STEP, begun=True), host="h2")

    placement = restless.ledger.placement("web")
    assert placement is not None
    assert (outcome.status == "done", restless.ledger.migration("web") is None) == (home is not None, home is not None)
    assert placement.host == (home or "h1")

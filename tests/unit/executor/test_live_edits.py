"""What is done to running guests: once, only where it is missing, and never taken for done where the guest refuses."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model import steps
from reconciler.model.domain import NicConfig
from reconciler.model.identity import vm_uuid
from reconciler.model.live_edit import LiveEdit, Plug, SetVcpus, Unplug
from reconciler.model.outcome import Outcome
from tests.unit.executor.bench import FLEET, Bench, config

UUID = vm_uuid(FLEET, "web")
CARD = NicConfig("52:54:00:00:00:01", "lan")


def running(bench: Bench) -> Bench:
    """`web` runs, with room for three more CPUs."""
    bench.with_vm(running=False)
    outcome = bench.run_one(
        steps.RedefineDomain(config("web", max_vcpus=4), expect_fingerprint=bench.h1.domain(UUID).fingerprint)
    )
    assert outcome.status == "done", outcome
    assert bench.run_one(steps.StartDomain("web", UUID)).status == "done"
    return bench


def edit(bench: Bench, what: LiveEdit) -> Outcome:
    return bench.run_one(steps.EditLive("web", UUID, what))


def calls(bench: Bench) -> int:
    return sum(call.method == "edit_live" for call in bench.fleet.world.calls)


def test_the_guest_is_changed_and_its_definition_is_left_alone(bench: Bench) -> None:
    running(bench)

    assert edit(bench, SetVcpus(3)).status == "done"

    domain = bench.h1.domain(UUID)
    assert domain.live is not None
    assert (domain.live.vcpus, domain.config.vcpus) == (3, 1)


def test_what_the_guest_has_already_is_not_done_again(bench: Bench) -> None:
    running(bench)
    edit(bench, SetVcpus(3))

    assert edit(bench, SetVcpus(3)).status == "done"
    assert calls(bench) == 1


def test_a_lost_reply_is_looked_up_and_nothing_is_sent_twice(bench: Bench) -> None:
    running(bench)
    bench.fleet.lose_reply("h1", "edit_live")

    assert edit(bench, Plug(CARD)).status == "done"
    assert calls(bench) == 1


def test_a_guest_that_does_not_let_go_is_reported_after_a_while_and_not_hammered(bench: Bench) -> None:
    running(bench)
    edit(bench, Plug(CARD))
    bench.fleet.people("h1").deafen("web")
    begun = bench.clock.monotonic()

    outcome = edit(bench, Unplug(CARD))

    assert (outcome.status, outcome.transient) == ("failed", True)
    assert "has not let go of card 52:54:00:00:00:01" in outcome.message
    assert 10 < bench.clock.monotonic() - begun < 30
    assert calls(bench) == 2


def test_a_guest_that_is_off_by_then_is_refused(bench: Bench) -> None:
    bench.with_vm(running=False)

    outcome = edit(bench, SetVcpus(2))

    assert outcome.status == "refused"
    assert "does not run any more" in outcome.message


def test_a_copy_that_is_not_the_true_one_is_left_alone(bench: Bench) -> None:
    running(bench)
    placement = bench.ledger.placement("web")
    assert placement is not None
    bench.ledger.record_placement("web", "h2", placement.epoch + 1, bench.clock.now())

    assert edit(bench, SetVcpus(2)).status == "refused"


def test_a_domain_without_our_mark_is_left_alone(bench: Bench) -> None:
    running(bench)
    domain = bench.h1.domain(UUID)
    bench.h1.define_domain(replace(domain.config, mark=None))

    assert edit(bench, SetVcpus(2)).status == "failed"
    assert calls(bench) == 0

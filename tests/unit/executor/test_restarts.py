"""Starts of VMs that ended by themselves are written down before they happen; a stop of ours wipes the slate."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from reconciler.errors import HostTimeout
from reconciler.model import steps
from reconciler.model.plan import Why
from tests.unit.executor.bench import Bench, action
from tests.unit.executor.test_domain_steps import START, UUID

STOP: Final = steps.StopDomain("web", UUID, timeout=60, force=True)


def started(bench: Bench, why: Why) -> None:
    bench.run(replace(action(START), why=why))


def test_a_start_after_the_guest_ended_is_a_restart(bench: Bench) -> None:
    bench.with_vm()

    started(bench, "ended")

    assert bench.ledger.view().restarts == {"web": (bench.clock.now(),)}


def test_a_start_for_any_other_reason_is_none(bench: Bench) -> None:
    bench.with_vm()

    started(bench, "run-strategy")

    assert bench.ledger.view().restarts == {}


def test_a_restart_counts_from_before_it_happens(bench: Bench) -> None:
    bench.with_vm()
    bench.fleet.fail_next("h1", "start_domain", HostTimeout("no answer", host="h1"))

    started(bench, "ended")

    assert len(bench.ledger.view().restarts["web"]) == 1


def test_a_domain_that_runs_already_was_not_restarted(bench: Bench) -> None:
    bench.with_vm(running=True)

    started(bench, "ended")

    assert bench.ledger.view().restarts == {}


def test_a_stop_of_ours_counts_restarts_anew(bench: Bench) -> None:
    bench.with_vm()
    started(bench, "ended")

    bench.run_one(STOP)

    assert bench.ledger.view().restarts == {}


def test_a_vm_that_is_shut_down_to_empty_its_host_did_not_end(bench: Bench) -> None:
    bench.with_vm()
    started(bench, "run-strategy")

    bench.run(replace(action(STOP), why="drain"))

    placement = bench.ledger.placement("web")
    assert placement is not None
    assert not placement.ran

"""A guest takes its time to shut down, and by then the newest plan may have something else in mind for it."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model import steps
from reconciler.model.identity import vm_uuid
from tests.unit.executor.bench import FLEET, Bench

UUID = vm_uuid(FLEET, "web")


def test_a_guest_that_the_newest_plan_lets_run_is_not_forced_off(bench: Bench) -> None:
    bench.with_vm(running=True).fleet.people("h1").deafen("web")
    asked_until = bench.clock.monotonic() + 30
    bench.executor = replace(bench.executor, is_asked=lambda _action: bench.clock.monotonic() < asked_until)

    outcome = bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=True))

    assert (outcome.status, outcome.transient) == ("refused", True)
    assert "not to be shut down any more" in outcome.message
    assert bench.h1.domain_state(UUID) == "running"


def test_a_guest_that_goes_off_all_the_same_was_stopped(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.world.hosts["h1"].shutdown_seconds = 0.0
    bench.executor = replace(bench.executor, is_asked=lambda _action: False)

    assert bench.run_one(steps.StopDomain("web", UUID, timeout=60, force=True)).status == "done"

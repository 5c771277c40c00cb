"""What Prometheus is told of recoveries."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, generate_latest

from reconciler.daemon.metrics.recovery import RecoveryMetrics
from reconciler.ledger import records
from reconciler.ledger.records import LedgerEvent
from reconciler.model.plan import Action
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import StartDomain

_WEB = ObjectRef("VirtualMachine", "web-1")
_HISTORY = (
    (100.0, records.HOST_LAST_SEEN, "h1"),
    (102.0, records.HOST_SUSPECT, "h1"),
    (106.0, records.HOST_UNREACHABLE, "h1"),
    (109.5, "define-domain done", "h2"),
    (110.0, "start-domain done", "h2"),
)


def _events(target: str, _: int) -> Sequence[LedgerEvent]:
    told = (
        [(109.0, records.FENCE_PROOF, "h1"), (106.5, records.FENCE_BEGAN, "h1")]
        if target == "Host/h1"
        else reversed(_HISTORY)
    )
    return [LedgerEvent(at, "", target, host, event, "") for at, event, host in told]


def _started(why: str) -> Action:
    step = StartDomain(domain="web-1", uuid="u")
    return Action("a", "start-domain", "move", _WEB, "h2", why, "start", "none", step)  # type: ignore[arg-type]


def _told_of(action: Action) -> CollectorRegistry:
    registry = CollectorRegistry()
    RecoveryMetrics(registry).action_done(action, _events)
    return registry


def test_every_step_of_a_recovery_is_told_in_seconds_since_the_last_sign_of_life() -> None:
    registry = _told_of(_started("host-lost"))

    def step(name: str) -> float | None:
        labels = {"vm": "web-1", "host": "h1", "step": name}
        return registry.get_sample_value("reconciler_recovery_timeline_seconds", labels)

    assert [step("host-unreachable"), step("fence-proof"), step("vm-running")] == [6.0, 9.0, 10.0]
    assert registry.get_sample_value("reconciler_recovery_duration_seconds_sum") == 10.0


def test_an_ordinary_start_is_no_recovery() -> None:
    registry = _told_of(_started("run-strategy"))

    assert registry.get_sample_value("reconciler_recovery_duration_seconds_count") == 0.0


def test_the_timeline_of_a_vm_that_left_the_specs_is_told_no_more() -> None:
    registry = CollectorRegistry()
    metrics = RecoveryMetrics(registry)
    metrics.action_done(_started("host-lost"), _events)

    metrics.keep(["another"])

    assert b"web-1" not in generate_latest(registry)

"""What Prometheus is told of recoveries."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Sequence

import pytest
from prometheus_client import generate_latest

from reconciler.daemon.metrics import RecoveryMetrics
from reconciler.errors import UsageError
from reconciler.ledger import records
from reconciler.ledger.records import LedgerEvent
from reconciler.model.drill import DrillResult
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


def test_every_step_of_a_recovery_is_told_in_seconds_since_the_last_sign_of_life() -> None:
    metrics = RecoveryMetrics(_events)

    metrics.action_done(_started("host-lost"))

    def step(name: str) -> float | None:
        labels = {"vm": "web-1", "host": "h1", "step": name}
        return metrics.registry.get_sample_value("reconciler_recovery_timeline_seconds", labels)

    assert [step("host-unreachable"), step("fence-proof"), step("vm-running")] == [6.0, 9.0, 10.0]
    assert metrics.registry.get_sample_value("reconciler_recovery_duration_seconds_sum") == 10.0


def test_an_ordinary_start_is_no_recovery() -> None:
    metrics = RecoveryMetrics(_events)

    metrics.action_done(_started("run-strategy"))

    assert metrics.registry.get_sample_value("reconciler_recovery_duration_seconds_count") == 0.0


def test_metrics_are_served_where_the_configuration_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    close = RecoveryMetrics(_events).serve(f"127.0.0.1:{port}")

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    close()

    assert "reconciler_recovery_duration_seconds_count 0.0" in text


def test_an_address_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(UsageError, match=f"metricsListen 127.0.0.1:{port}: address already in use"):
            RecoveryMetrics(_events).serve(f"127.0.0.1:{port}")


def test_drills_are_told_as_they_are_on_record_when_somebody_asks() -> None:
    metrics = RecoveryMetrics(_events)
    metrics.watch_drills(
        lambda: {
            "gold": DrillResult("20261121t020000z", 300.0, False, "", 5.0, "20261114t020000z", 200.0),
            "new": DrillResult("20261121t020000z", 300.0, False, "", 5.0),
        }
    )

    told = generate_latest(metrics.registry).decode()

    assert 'reconciler_image_drill_passed{image="gold"} 0.0' in told
    assert 'reconciler_image_last_verified_restore_timestamp_seconds{image="gold"} 200.0' in told
    assert 'reconciler_image_last_verified_restore_timestamp_seconds{image="new"}' not in told

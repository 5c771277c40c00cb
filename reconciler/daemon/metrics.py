"""What Prometheus is told: for now, how long the VMs of lost hosts took to run elsewhere, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.errors import UsageError
from reconciler.ledger.lost_host_timeline import lost_host, timeline_of_vm
from reconciler.ledger.records import VM_RUNNING, LedgerEvent
from reconciler.model.drill import DrillResult
from reconciler.model.plan import Action
from reconciler.model.steps import StartDomain

_BACK: Final = 200
"""Events that are searched for a timeline."""
_SECONDS: Final = (2, 3, 4, 5, 6, 8, 10, 13, 18, 30, 60, 120, 300, 600)

Drills = Callable[[], Mapping[str, DrillResult]]
"""By image: how its last drill ended."""
Events = Callable[[str, int], Sequence[LedgerEvent]]
"""The last events of a target (`Kind/name`), newest first."""


class DrillMetrics(Collector):
    """Whether images that are captured from VMs can be restored, as far as drills have shown."""

    def __init__(self, drills: Drills) -> None:
        self._drills = drills

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What is on record now."""
        passed = GaugeMetricFamily(
            "reconciler_image_drill_passed", "Whether the last drill of an image passed.", labels=("image",)
        )
        verified = GaugeMetricFamily(
            "reconciler_image_last_verified_restore_timestamp_seconds",
            "When a drill of an image passed last, in seconds since 1970.",
            labels=("image",),
        )
        for image, result in sorted(self._drills().items()):
            passed.add_metric((image,), float(result.passed))
            if result.passed_stamp:
                verified.add_metric((image,), result.passed_at)
        return (passed, verified)


class RecoveryMetrics:
    """Timelines of recoveries; `action_done` may be called from any thread."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.registry: Final = CollectorRegistry()
        self._timeline = Gauge(
            "reconciler_recovery_timeline_seconds",
            "Seconds from the last sign of life of a lost host to each step of a VM's last recovery.",
            ("vm", "host", "step"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "reconciler_recovery_duration_seconds",
            "Seconds from the last sign of life of a lost host until a VM of it ran elsewhere.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def watch_drills(self, drills: Drills) -> None:
        """Tell of drills too, as they are on record whenever somebody asks."""
        self.registry.register(DrillMetrics(drills))

    def action_done(self, action: Action) -> None:
        """Take note if this was the end of a VM's recovery."""
        if action.why != "host-lost" or not isinstance(action.step, StartDomain):
            return
        own = self._events(str(action.target), _BACK)
        host = lost_host(own)
        timeline = timeline_of_vm(own, self._events(f"Host/{host}", _BACK)) if host else ()
        for event in timeline:
            since = event.at - timeline[0].at
            self._timeline.labels(vm=action.target.name, host=host, step=event.event).set(since)
            if event.event == VM_RUNNING:
                self._duration.observe(since)

    def serve(self, listen: str) -> Callable[[], None]:
        """Answer `GET /metrics` on `listen` (`ADDRESS:PORT`) until the function that is returned is called.

        Raises UsageError where that can't be listened on.
        """
        address, _, port = listen.rpartition(":")
        try:
            server, thread = start_http_server(int(port), address, registry=self.registry)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(
                f"metricsListen {listen}: {reason}", hint="name another address or port in the configuration"
            ) from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close

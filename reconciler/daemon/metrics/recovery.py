"""How long the VMs of lost hosts took to run elsewhere, step by step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.daemon.metrics.catalogue import METRICS
from reconciler.daemon.metrics.families import Gauges
from reconciler.ledger.lost_host_timeline import lost_host, timeline_of_vm
from reconciler.ledger.records import VM_RUNNING, LedgerEvent
from reconciler.model.plan import Action
from reconciler.model.steps import StartDomain

_BACK: Final = 200
"""Events that are searched for a timeline."""
_SECONDS: Final = (2, 3, 4, 5, 6, 8, 10, 13, 18, 30, 60, 120, 300, 600)
_TIMELINE: Final = "reconciler_recovery_timeline_seconds"
_DURATION: Final = "reconciler_recovery_duration_seconds"

Events = Callable[[str, int], Sequence[LedgerEvent]]
"""The last events of a target (`Kind/name`), newest first."""


class RecoveryMetrics(Collector):
    """Timelines of recoveries, for as long as their VMs are in the specs; safe to use from several threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._timelines: dict[str, tuple[LedgerEvent, ...]] = {}
        """By VM."""
        self._duration = Histogram(_DURATION, METRICS[_DURATION].help, registry=registry, buckets=_SECONDS)
        registry.register(self)

    def action_done(self, action: Action, events: Events) -> None:
        """Take note if this was the end of a VM's recovery."""
        if action.why != "host-lost" or not isinstance(action.step, StartDomain):
            return
        own = events(str(action.target), _BACK)
        host = lost_host(own)
        timeline = timeline_of_vm(own, events(f"Host/{host}", _BACK)) if host else ()
        if timeline and timeline[-1].event == VM_RUNNING:
            self._duration.observe(timeline[-1].at - timeline[0].at)
        with self._lock:
            self._timelines[action.target.name] = timeline

    def keep(self, vms: Collection[str]) -> None:
        """Let go of VMs that left the specs."""
        with self._lock:
            self._timelines = {vm: timeline for vm, timeline in self._timelines.items() if vm in vms}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauges = Gauges([_TIMELINE])
        with self._lock:
            timelines = dict(self._timelines)
        for vm, timeline in sorted(timelines.items()):
            host = timeline[0].host if timeline else ""
            for event in timeline:
                gauges.add("recovery_timeline_seconds", event.at - timeline[0].at, vm, host, event.event)
        yield from gauges.families()

"""What is counted as it happens."""

from __future__ import annotations

import platform
import threading
from collections.abc import Collection
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from reconciler import __version__
from reconciler.daemon.metrics.catalogue import METRICS
from reconciler.daemon.metrics.fleet import drifted_objects
from reconciler.daemon.view import View
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action
from reconciler.model.resource import KINDS
from reconciler.model.steps import FenceHost

_PASS_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)
_ACTION_SECONDS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200)
_FENCING_SECONDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300)
_PASS_RESULTS: Final = ("planned", "failed")


class LiveMetrics:
    """Counters and histograms of one run of the program; safe to use from several threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        build = self._gauge("reconciler_build_info")
        build.labels(version=__version__, python=platform.python_version()).set(1)
        self._leader = self._gauge("reconciler_leader")
        self._term = self._gauge("reconciler_leader_term")
        self._pass_seconds = self._histogram("reconciler_pass_duration_seconds", _PASS_SECONDS)
        self._passes = self._counter("reconciler_passes_total")
        self._success = self._gauge("reconciler_pass_last_success_timestamp_seconds")
        self._actions = self._counter("reconciler_actions_total")
        self._action_seconds = self._histogram("reconciler_action_duration_seconds", _ACTION_SECONDS)
        self._fencing_seconds = self._histogram("reconciler_fencing_duration_seconds", _FENCING_SECONDS)
        self._drift = self._counter("reconciler_drift_total")
        self._rpcs = self._counter("reconciler_rpcs_total")
        self._rpc_seconds = self._counter("reconciler_rpc_seconds_total")
        self._drifted: frozenset[tuple[str, str]] = frozenset()
        self._lock = threading.Lock()
        self._asked: set[tuple[str, str, str]] = set()
        for result in _PASS_RESULTS:
            self._passes.labels(result=result)
        for kind in KINDS:
            self._drift.labels(kind=kind)

    # -- what happens ----------------------------------------------------------------------------------------------
    def passed(self, view: View, seconds: float) -> None:
        """A pass came to a plan."""
        self._pass_seconds.observe(seconds)
        self._passes.labels(result="planned").inc()
        self._success.set(view.at)
        drifted = drifted_objects(view.plan)
        for kind, _ in drifted - self._drifted:
            self._drift.labels(kind=kind).inc()
        self._drifted = drifted
        self.keep_hosts({host.name for host in view.status.hosts})

    def pass_failed(self) -> None:
        """A pass could not decide."""
        self._passes.labels(result="failed").inc()

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        """An action came to an end."""
        self._actions.labels(kind=action.kind, outcome=outcome.status).inc()
        if outcome.status == "done":
            self._action_seconds.labels(kind=action.kind).observe(outcome.seconds)
        if isinstance(action.step, FenceHost) and outcome.status in ("done", "failed"):
            self._fencing_seconds.labels(outcome=outcome.status).observe(outcome.seconds)

    def asked(self, host: str, kind: str, result: str, seconds: float) -> None:
        """A host was asked something, or told to do it."""
        with self._lock:
            self._asked.add((host, kind, result))
            self._rpcs.labels(host=host, kind=kind, result=result).inc()
            self._rpc_seconds.labels(host=host, kind=kind).inc(seconds)

    def leads(self, term: int | None) -> None:
        """Whether this controller leads, and for which time; None if it does not."""
        self._leader.set(term is not None)
        self._term.set(term or 0)

    def keep_hosts(self, hosts: Collection[str]) -> None:
        """Hosts that left the specs: their names are told no more."""
        with self._lock:
            gone = {each for each in self._asked if each[0] not in hosts}
            self._asked -= gone
            for each in gone:
                self._rpcs.remove(*each)
            for host, kind in {each[:2] for each in gone}:
                self._rpc_seconds.remove(host, kind)

    # -- as in the catalogue ---------------------------------------------------------------------------------------
    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, METRICS[name].help, METRICS[name].labels, registry=self._registry)

    def _counter(self, name: str) -> Counter:
        return Counter(name, METRICS[name].help, METRICS[name].labels, registry=self._registry)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, METRICS[name].help, METRICS[name].labels, registry=self._registry, buckets=buckets)

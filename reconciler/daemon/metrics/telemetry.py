"""Everything that Prometheus is told, put together: one registry of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from reconciler.clock import Clock
from reconciler.daemon.metrics.fleet import FleetMetrics
from reconciler.daemon.metrics.live import LiveMetrics
from reconciler.daemon.metrics.recovery import Events, RecoveryMetrics
from reconciler.daemon.metrics.rpcs import MeasuredFleet
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.hypervisor.interface import Fleet
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action


class Telemetry:
    """Implements Onlooker; one for the whole run of the program, across the leads that it has."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.registry: Final = CollectorRegistry()
        self._live = LiveMetrics(self.registry)
        self._fleet = FleetMetrics()
        self.registry.register(self._fleet)
        self._recovery = RecoveryMetrics(self.registry)
        ProcessCollector(registry=self.registry)
        self._events: Events = _no_events
        self._ledger_size: Callable[[], int | None] = _not_known

    def page(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)

    def measured(self, fleet: Fleet) -> Fleet:
        """`fleet`, with each question to a host counted."""
        return MeasuredFleet(fleet, self._clock, self._live.asked)

    def follow(self, events: Events, ledger_size: Callable[[], int | None]) -> None:
        """Have these told of from now on: the history, and the size of the ledger in bytes (None: not known)."""
        self._events = events
        self._ledger_size = ledger_size

    # -- Onlooker --------------------------------------------------------------------------------------------------
    def turned(self) -> None:
        """Nothing is counted of that; see Health."""

    def passed(self, pass_id: str, view: View, seconds: float) -> None:  # noqa: ARG002  as Onlooker has it
        self._fleet.show(view, self._ledger_size())
        self._recovery.keep(view.desired.vms.keys())
        self._live.passed(view, seconds)

    def pass_failed(self, pass_id: str, error: ReconcilerError) -> None:  # noqa: ARG002  as Onlooker has it
        self._live.pass_failed()

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        self._live.action_ended(action, outcome)
        if outcome.status == "done":
            self._recovery.action_done(action, self._events)

    def led(self, term: int) -> None:
        self._live.leads(term)

    def stood_by(self, sentence: str) -> None:  # noqa: ARG002  as Onlooker has it
        self._live.leads(None)
        # Whoever leads now sees the fleet; what this one saw grows old.
        self._fleet.show(None, None)
        self._recovery.keep(())
        self.follow(_no_events, _not_known)


def _no_events(_target: str, _limit: int) -> tuple[()]:
    return ()


def _not_known() -> None:
    return None

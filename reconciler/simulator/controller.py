"""One process of the controller, from its start to its end or its death: the real lock, ledger, session and loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from reconciler.config import Settings
from reconciler.daemon.loop import Loop, Timing
from reconciler.daemon.session import Session
from reconciler.daemon.triggers import Dirty
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.ledger.controller_lock import ControllerLock
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan
from reconciler.simulator.event_clock import EventClock
from reconciler.simulator.simulated_images import SimulatedImages
from reconciler.simulator.stepped_readers import SteppedReaders
from reconciler.simulator.watched_ledger import LedgerWitness, WatchedLedger


class Surroundings(Struct, frozen=True):
    """What outlives a controller."""

    settings: Settings
    fleet: SimulatedFleet
    clock: EventClock
    images: SimulatedImages
    witness: LedgerWitness
    on_look: Callable[[View], None]
    on_failed_look: Callable[[ReconcilerError], None]

    @property
    def state_dir(self) -> Path:
        return self.settings.state_dir


class WatchedSession(Session):
    """The real session; somebody is told of each look at the fleet."""

    def __init__(self, around: Surroundings, ledger: WatchedLedger) -> None:
        self._around = around
        super().__init__(
            around.settings,
            fleet=around.fleet,
            ledger=ledger,
            images=around.images,
            clock=around.clock,
            writer="run",
            readers=SteppedReaders(around.clock),
        )

    def look(self, **how: Any) -> View:
        try:
            view = super().look(**how)
        except ReconcilerError as error:
            self._around.on_failed_look(error)
            raise
        self._around.on_look(view)
        return view


class SilentObserver:
    """Implements ConvergeObserver; the history in the ledger tells all that a timeline needs."""

    def planned(self, plan: Plan) -> None:
        """Nobody asks."""

    def action_started(self, action: Action) -> None:
        """Nobody asks."""

    def action_progress(self, action_id: str, done: int, total: int) -> None:
        """Nobody asks."""

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        """Nobody asks."""


class SpecsAreTold:
    """Implements Watch: in a simulation whoever changes specs says so."""

    def renew(self) -> None:
        """Nothing is watched."""


@contextmanager
def controlling(around: Surroundings) -> Iterator[WatchedSession]:
    """A session that holds the state directory; raises StateError, LedgerError, UsageError as the program does."""
    with (
        ControllerLock(around.state_dir, "run", around.clock),
        WatchedLedger(around.state_dir, around.witness) as ledger,
    ):
        yield WatchedSession(around, ledger)


class Daemon:
    """What `reconciler run` is: `live` returns once it was stopped; SimulatedCrashError says that it was killed."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._stop = threading.Event()
        self._dirty = Dirty(around.clock)

    def live(self) -> None:
        """Pass after pass until it is asked to stop."""
        around = self._around
        with controlling(around) as session:
            session.watch(lambda event: self._dirty.mark(f"{event.kind} on {event.host}"))
            try:
                Loop(
                    session, SpecsAreTold(), self._dirty, around.clock, Timing(), spawn=lambda work, _name: work()
                ).run(self._stop)
            finally:
                around.fleet.world.subscribers.clear()

    def specs_changed(self) -> None:
        """What the watch of the directory tells."""
        self._dirty.mark("specs")

    def stop(self) -> None:
        """As SIGTERM does."""
        self._stop.set()
        self._dirty.mark("signal")

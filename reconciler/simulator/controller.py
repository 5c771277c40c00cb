"""One process of the controller, from its start to its end or its death: the real lock, ledger, session and loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from reconciler.config import Settings
from reconciler.daemon.host_watch import HostWatch
from reconciler.daemon.loop import HAND_BACK, Loop, Timing
from reconciler.daemon.session import Session
from reconciler.daemon.triggers import Dirty
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.executor.crew import Crew
from reconciler.fencing.devices import FenceDevices
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.ledger.controller_lock import ControllerLock
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan
from reconciler.simulator.event_clock import EventClock
from reconciler.simulator.simulated_images import SimulatedImages
from reconciler.simulator.stepped_readers import SteppedReaders
from reconciler.simulator.turns import Turns
from reconciler.simulator.watched_ledger import LedgerWitness, WatchedLedger


class Surroundings(Struct, frozen=True):
    """What outlives a controller."""

    settings: Settings
    fleet: SimulatedFleet
    clock: EventClock
    images: SimulatedImages
    witness: LedgerWitness
    devices: Callable[[], FenceDevices]
    """Makes the way to the fence devices that a controller has."""
    on_look: Callable[[View], None]
    on_failure: Callable[[ReconcilerError], None]

    @property
    def state_dir(self) -> Path:
        return self.settings.state_dir


class WatchedSession(Session):
    """The real session; somebody is told of each look at the fleet."""

    def __init__(self, around: Surroundings, ledger: WatchedLedger, *, watching: bool, crew: Crew | None) -> None:
        self._around = around
        devices = around.devices() if watching else None
        self.hosts = _host_watch(around, devices) if devices is not None else None
        super().__init__(
            around.settings,
            fleet=around.fleet,
            ledger=ledger,
            images=around.images,
            clock=around.clock,
            writer="run",
            readers=SteppedReaders(around.clock),
            host_watch=self.hosts,
            power=devices,
            crew=crew,
        )

    def look(self, **how: Any) -> View:
        with self._failures_told():
            view = super().look(**how)
        self._around.on_look(view)
        return view

    def execute(self, view: View, **how: Any) -> tuple[Outcome, ...]:
        with self._failures_told():
            return super().execute(view, **how)

    def record_pass(self, pass_id: str, view: View) -> None:
        with self._failures_told():
            super().record_pass(pass_id, view)

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except ReconcilerError as error:
            self._around.on_failure(error)
            raise


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


def _host_watch(around: Surroundings, devices: FenceDevices) -> HostWatch:
    """Hosts are polled by the simulation, and devices asked at once."""
    return HostWatch(around.fleet, devices, around.clock, around.settings.policy.ha, submit=lambda work: work())


@contextmanager
def controlling(around: Surroundings, *, watching: bool = False, crew: Crew | None = None) -> Iterator[WatchedSession]:
    """A session that holds the state directory; raises StateError, LedgerError, UsageError as the program does.

    With `watching` it looks after hosts, and has the fence devices, as the daemon's does.
    """
    with (
        ControllerLock(around.state_dir, "run", around.clock),
        WatchedLedger(around.state_dir, around.witness) as ledger,
    ):
        yield WatchedSession(around, ledger, watching=watching, crew=crew)


class Daemon:
    """What `reconciler run` is: `live` returns once it was stopped; SimulatedCrashError says that it was killed."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._stop = threading.Event()
        self._dirty = Dirty(around.clock)
        self._is_dead = False
        self._turns = Turns(around.clock)

    def live(self) -> None:
        """Pass after pass until it is asked to stop."""
        around = self._around
        with controlling(around, watching=True, crew=self._turns) as session:
            session.watch(lambda event: self._dirty.mark(f"{event.kind} on {event.host}"))
            if session.hosts is not None:
                session.hosts.subscribe(lambda reason: self._dirty.mark(reason, urgent=True))
                self._poll(session.hosts)
            loop = Loop(session, SpecsAreTold(), self._dirty, around.clock, Timing(), spawn=self._turns.start)
            with self._taking_turns():
                loop.run(self._stop)

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        """Loop and plans run side by side, one at a time; whoever is left at the end is ended."""
        clock = self._around.clock
        clock.hand_over(self._turns.wait_for)
        try:
            yield
        except SimulatedCrashError:
            self._turns.doom()
            raise
        finally:
            try:
                self._turns.finish(HAND_BACK)
            finally:
                self._is_dead = True
                clock.hand_over(None)
                self._around.fleet.world.subscribers.clear()

    @property
    def is_busy(self) -> bool:
        """Whether a plan is being carried out."""
        return self._turns.are_taken

    def kill(self) -> None:
        """As `kill -9`: nothing of it goes on; raises SimulatedCrashError."""
        self._turns.doom()
        raise SimulatedCrashError

    def _poll(self, hosts: HostWatch) -> None:
        """Look after hosts beside the loop, for as long as this process lives."""
        if self._is_dead:
            return
        clock = self._around.clock
        with clock.aside():
            pause = hosts.poll()
        clock.at(clock.monotonic() + pause, lambda: self._poll(hosts))

    def nudge(self, reason: str) -> None:
        """Have it look at once, as what it watches would."""
        self._dirty.mark(reason)

    def stop(self) -> None:
        """As SIGTERM does."""
        self._stop.set()
        self._dirty.mark("signal")

"""One process of the controller, from its start to its end or its death: the real lock, ledger, session and loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from reconciler.config import Settings
from reconciler.daemon.host_watch import HostWatch
from reconciler.daemon.loop import HAND_BACK, Loop, Timing
from reconciler.daemon.onlookers import Onlooker, Onlookers
from reconciler.daemon.session import Session
from reconciler.daemon.specs_judge import SpecsJudge
from reconciler.daemon.standby import StandBy
from reconciler.daemon.triggers import Dirty
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.executor.crew import Crew
from reconciler.executor.lead_guard import GuardedFleet, GuardedPower
from reconciler.fencing.devices import FenceDevices
from reconciler.fencing.interface import PowerControl
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_world import SimulatedCrashError
from reconciler.leadership.candidate import Candidate
from reconciler.leadership.keys import Keys
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.store import Store
from reconciler.ledger.asking import Responder
from reconciler.ledger.controller_id import controller_of
from reconciler.ledger.controller_lock import ControllerLock
from reconciler.ledger.own_file import refuse_other_ledger
from reconciler.ledger.replica import Replica
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.terms import record_term
from reconciler.model.desired_state import DesiredState
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan
from reconciler.simulator.event_clock import EventClock
from reconciler.simulator.simulated_images import SimulatedImages
from reconciler.simulator.stepped_readers import SteppedReaders
from reconciler.simulator.turns import Turns
from reconciler.simulator.watched_ledger import LedgerWitness, WatchedLedger
from reconciler.specfiles.loader import LoadedSpecs


class Share(Struct, frozen=True):
    """What a controller has that shares a ledger with others."""

    name: str
    store: Store
    keys: Keys
    lease_seconds: int
    on_lead: Callable[[Lead], None]
    """Told when it took the lead."""
    on_standby: Callable[[str], None]
    """Told in a sentence how it stands whenever it looked."""


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
    share: Share | None = None
    looking_on: Callable[[Session], Onlooker] = lambda _: Onlookers()
    """Who is told of what the daemon does."""

    @property
    def state_dir(self) -> Path:
        return self.settings.state_dir

    def candidate(self, share: Share) -> Candidate:
        """This controller, standing for the lead; raises StateError."""
        position = SeenPosition(prepare_state_directory(self.state_dir), share.store.name)
        fit = partial(refuse_other_ledger, self.state_dir, share.store, share.keys)
        return Candidate(share.name, "run", share.store, share.keys, position, self.clock, share.lease_seconds, fit)


_WHILE_FROZEN: Final = 0.1


class WatchedSession(Session):
    """The real session; somebody is told of each look at the fleet."""

    def __init__(
        self,
        around: Surroundings,
        ledger: WatchedLedger,
        *,
        watching: bool,
        crew: Crew | None,
        check: Callable[[], None] | None = None,
        judge: Callable[[LoadedSpecs], DesiredState] = lambda specs: specs,
    ) -> None:
        self._around = around
        devices = around.devices() if watching else None
        self.hosts = _host_watch(around, devices) if devices is not None else None
        power: PowerControl | None = devices
        if devices is not None and check is not None:
            power = GuardedPower(devices, check)
        super().__init__(
            around.settings,
            fleet=around.fleet if check is None else GuardedFleet(around.fleet, check),
            ledger=ledger,
            images=around.images,
            clock=around.clock,
            writer="run",
            readers=SteppedReaders(around.clock),
            host_watch=self.hosts,
            power=power,
            crew=crew,
            judge=judge,
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
    with ControllerLock(around.state_dir, "run", around.clock):
        if around.share is None:
            with WatchedLedger(around.state_dir, around.witness) as ledger:
                yield WatchedSession(around, ledger, watching=watching, crew=crew)
            return
        with (
            around.candidate(around.share).leading() as lead,
            _leading(around, around.share, lead) as ledger,
        ):
            judge = _judge(around, ledger, lead)
            yield WatchedSession(around, ledger, watching=watching, crew=crew, check=lead.check, judge=judge)


@contextmanager
def _leading(around: Surroundings, share: Share, lead: Lead) -> Iterator[WatchedLedger]:
    mirror = Replica(lead, share.store, share.keys, around.state_dir)
    with WatchedLedger(around.state_dir, around.witness, mirror) as ledger:
        record_term(ledger, lead.leader)
        yield ledger


def _judge(around: Surroundings, ledger: WatchedLedger, lead: Lead) -> Callable[[LoadedSpecs], DesiredState]:
    return SpecsJudge(ledger, controller_of(around.state_dir, lead.leader.name), around.clock).judge


class Daemon:
    """What `reconciler run` is: `live` returns once it was stopped; SimulatedCrashError says that it was killed.

    Without `turns` of its own it is the only process.
    """

    def __init__(self, around: Surroundings, turns: Turns | None = None) -> None:
        self._around = around
        self._stop = threading.Event()
        self._dirty = Dirty(around.clock)
        self._is_alone = turns is None
        self._turns = turns or Turns(around.clock)

    def live(self) -> None:
        """Pass after pass until it is asked to stop, or while it leads, again and again."""
        around = self._around
        if around.share is None:
            with controlling(around, watching=True, crew=self._turns) as session, self._taking_turns():
                self._look_after(session)
            return
        with ControllerLock(around.state_dir, "run", around.clock), self._taking_turns():
            candidate = around.candidate(around.share)
            rule = partial(self._rule, around.share)
            StandBy(candidate, around.clock, rule, around.share.on_standby).run(self._stop)

    def _rule(self, share: Share, lead: Lead) -> None:
        around = self._around
        lead.on_loss(lambda _why: self._dirty.mark("lead lost", urgent=True))
        share.on_lead(lead)
        with self._polling() as poll, _leading(around, share, lead) as ledger:
            poll(lead.poll)
            poll(Responder(ledger, lead, share.store, share.keys, self._dirty.mark).poll)
            judge = _judge(around, ledger, lead)
            session = WatchedSession(around, ledger, watching=True, crew=self._turns, check=lead.check, judge=judge)
            self._look_after(session, lambda: lead.why_lost)
            if not lead.why_lost:
                ledger.flush()

    def _look_after(self, session: WatchedSession, why_over: Callable[[], str] = lambda: "") -> None:
        session.watch(lambda event: self._dirty.mark(f"{event.kind} on {event.host}"))
        with self._polling() as poll:
            if session.hosts is not None:
                session.hosts.subscribe(lambda reason: self._dirty.mark(reason, urgent=True))
                poll(session.hosts.poll)
            onlooker = self._around.looking_on(session)
            clock, spawn = self._around.clock, self._turns.start
            loop = Loop(session, SpecsAreTold(), self._dirty, clock, Timing(), spawn=spawn, onlooker=onlooker)
            loop.run(self._stop, why_over)

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        """Loop and plans run side by side, one at a time; whoever is left at the end is ended."""
        if self._is_alone:
            self._turns.take_over()
        try:
            yield
        except SimulatedCrashError:
            self._turns.doom()
            raise
        finally:
            try:
                self._turns.finish(HAND_BACK)
            finally:
                if self._is_alone:
                    self._around.clock.hand_over(None)
                    self._around.fleet.world.subscribers.clear()

    @property
    def is_busy(self) -> bool:
        """Whether a plan is being carried out."""
        return self._turns.are_taken

    def kill(self) -> None:
        """As `kill -9`: nothing of it goes on; raises SimulatedCrashError."""
        self._turns.doom()
        raise SimulatedCrashError

    @contextmanager
    def _polling(self) -> Iterator[Callable[[Callable[[], float]], None]]:
        """What it is given is called beside the loop, with the pauses that it asks for, while the block runs."""
        clock, over = self._around.clock, threading.Event()

        def poll(work: Callable[[], float]) -> None:
            if over.is_set():
                return
            pause = _WHILE_FROZEN
            if not self._turns.is_frozen:
                with clock.aside():
                    pause = work()
            clock.at(clock.monotonic() + pause, lambda: poll(work))

        try:
            yield poll
        finally:
            over.set()

    def nudge(self, reason: str) -> None:
        """Have it look at once, as what it watches would."""
        self._dirty.mark(reason)

    def stop(self) -> None:
        """As SIGTERM does."""
        self._stop.set()
        self._dirty.mark("signal")

"""Where a scenario is played: the world, the files, and the process that is watched."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from reconciler.config import Settings
from reconciler.daemon.onlookers import Onlooker, Onlookers
from reconciler.daemon.session import Session
from reconciler.daemon.view import View
from reconciler.errors import HostError, ReconcilerError, StoreUnavailable
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_world import MutatingCall, Phase, SimulatedCrashError
from reconciler.ledger.asking import Question, obey
from reconciler.ledger.controller_lock import controller_holder
from reconciler.ledger.records import FENCE_BEGAN, LedgerEvent
from reconciler.ledger.replica import view_of
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.ledger import LedgerView
from reconciler.simulator.controller import Daemon, Share, SilentObserver, Surroundings, controlling
from reconciler.simulator.crash_points import CrashPoints
from reconciler.simulator.ensemble import Ensemble, state_folders
from reconciler.simulator.event_clock import EventClock
from reconciler.simulator.fence_room import FenceRoom
from reconciler.simulator.fleet_building import build_fleet
from reconciler.simulator.invariants.promise import Scene, Wishes
from reconciler.simulator.invariants.watch import PromiseWatch, Violation
from reconciler.simulator.scenario import Event, Scenario, names_of
from reconciler.simulator.simulated_images import SimulatedImages
from reconciler.simulator.specs_folder import SpecsFolder
from reconciler.simulator.timeline import Timeline
from reconciler.simulator.watched_ledger import LedgerWitness
from reconciler.simulator.witness import Witness
from reconciler.specfiles.loader import load

_NEVER: Final = 1e12
_REST_PAUSE: Final = 5.0
_LONGEST_REST: Final = 600.0
"""Seconds after the scenario's end in which the fleet has to come to rest."""
_TRIED_AGAIN: Final = frozenset({"backoff", "crash-loop", "failed", "fencing-failed"})
"""Reasons that end when their time comes."""
_REFUSED_PAUSE: Final = 10.0


class Stage:
    """One simulation; events act on it. `root` is an empty folder for specs and state."""

    def __init__(self, scenario: Scenario, root: Path, timeline: Timeline, clock: EventClock) -> None:
        self.scenario = scenario
        self.clock = clock
        self.timeline = timeline
        self.root = root
        self._names = names_of(scenario.fleet.controllers)
        self.specs = SpecsFolder(root, scenario.specs, scenario.folder)
        self._own_specs = {
            name: SpecsFolder(root, scenario.folder / folder, scenario.folder, f"specs-{name}")
            for name, folder in scenario.fleet.specs_of.items()
        }
        self._in_force = self.specs
        """What the fleet is to be, where controllers have specs of their own."""
        policy = scenario.fleet.policy
        self.policy = policy
        self.images = SimulatedImages(clock)
        self.crash_points = CrashPoints()
        self.wishes = Wishes()
        self.read_wishes()
        self.fleet: SimulatedFleet = build_fleet(scenario.fleet, self.wishes.now, clock)
        desired = self.wishes.now or DesiredState("")
        self.fence_room = FenceRoom(
            self.fleet, clock, scenario.fleet, desired, self._on_power_off, self._on_order_to_switch_off
        )
        if scenario.fleet.tested:
            self.fence_room.arm(desired, self.settings.state_dir)
        self.ensemble = self._ensemble() if len(self._names) > 1 else None
        self._witness = Witness(timeline)
        self.ledger = LedgerWitness(on_event=self._on_history)
        self._daemon: Daemon | None = None
        self._others = 0
        self.looking_on: Callable[[Session], Onlooker] = lambda _: Onlookers()
        self._begin_at = self._begun = 0.0
        self._over = False
        self._wake = threading.Event()
        self.last_view: View | None = None
        self._calls_at_look = -1
        self.promises = PromiseWatch(
            Scene(
                world=self.fleet.world,
                wishes=self.wishes,
                lock_is_held=self._lock_is_held,
                controllers=self._controllers,
                begun=lambda: self.ensemble.lead_began if self.ensemble is not None else self._begun,
                policy=policy,
                monotonic=self.clock.monotonic,
                ledger=self.ledger_view,
            ),
            self._on_violation,
        )
        self.fleet.on_mutation(self._on_mutation)

    # -- playing ---------------------------------------------------------------------------------------------------
    def play(self) -> None:
        """From the beginning until the events are over and the fleet is at rest."""
        for event in self.scenario.events:
            self.clock.at(event.at, partial(self._happen, event))
        last = max((event.at for event in self.scenario.events), default=0.0)
        self._end_if_at_rest(last + self.scenario.fleet.play)
        self.clock.pass_until(0.0)
        if self.ensemble is not None:
            self.ensemble.play(lambda: self._over)
        while not self._over:
            if self._begin_at <= self.clock.monotonic():
                self._live()
            else:
                self._wake.clear()
                self.clock.wait(self._wake, self._begin_at - self.clock.monotonic())
        self._final_look()

    def _happen(self, event: Event) -> None:
        self.timeline.note("event", sentence=event.command.text)
        try:
            event.command.verb.run(self, *event.command.arguments)
        except KeyError as error:
            self.timeline.note("event came to nothing", sentence=f"there is no {error.args[0]}")
        except (HostError, StoreUnavailable) as error:
            self.timeline.note("event came to nothing", sentence=str(error))
        finally:
            self.promises.happened()

    def _end_if_at_rest(self, when: float, *, given_up: float | None = None) -> None:
        limit = when + _LONGEST_REST if given_up is None else given_up

        def end() -> None:
            if self._is_at_rest or when >= limit:
                self._over = True
                self._wake.set()
                if self._daemon is not None:
                    self._daemon.stop()
            else:
                self._end_if_at_rest(when + _REST_PAUSE, given_up=limit)

        self.clock.at(when, end)

    @property
    def _is_at_rest(self) -> bool:
        runs: Daemon | Ensemble | None = self.ensemble or self._daemon
        if runs is None:
            return self._begin_at >= _NEVER
        view = self.last_view
        if runs.is_busy:
            return False
        return view is not None and view.plan.empty and self._calls_at_look == len(self.fleet.world.calls)

    def _final_look(self) -> None:
        """One more look by a controller that begins afresh and trusts no cache: it has nothing to do either."""
        self.fleet.on_mutation(None)
        self.ledger = LedgerWitness(full=self.ledger.full)
        share = self.ensemble.final_share() if self.ensemble is not None else None
        try:
            with controlling(self._surroundings(on_look=lambda _: None, share=share), watching=True) as session:
                view = session.look(refresh=True)
        except ReconcilerError as error:
            self._note_refusal(error)
            return
        unmet = self.last_view.plan.unmet if self.last_view is not None else ()
        self.promises.at_rest(view, frozenset(str(item.target) for item in unmet if item.reason in _TRIED_AGAIN))
        if self.last_view is None or self._begin_at < _NEVER:
            self.last_view = view

    # -- the controller --------------------------------------------------------------------------------------------
    def _ensemble(self) -> Ensemble:
        file = self.scenario.fleet

        def around(name: str, share: Share) -> Surroundings:
            return self._surroundings(on_look=self._looked, name=name, share=share)

        return Ensemble(
            self._names,
            self.clock,
            self.timeline,
            around,
            fleet=self.policy.fleet,
            lease=file.lease,
            restart=file.restart,
        )

    def _live(self) -> None:
        self._begin_at = _NEVER
        self._witness.forget()
        self._daemon = Daemon(self._surroundings(on_look=self._looked))
        self._begun = self.clock.monotonic()
        self.timeline.note("controller started")
        try:
            self._daemon.live()
        except SimulatedCrashError:
            self.timeline.note("controller killed")
            self._begin_at = self.clock.monotonic() + self.scenario.fleet.restart
        except ReconcilerError as error:
            self._note_refusal(error)
            self._begin_at = self.clock.monotonic() + _REFUSED_PAUSE
        else:
            self.timeline.note("controller stopped")
        finally:
            self._daemon = None

    def _note_refusal(self, error: ReconcilerError) -> None:
        """What its predecessor made of the fleet holds no more, and there is nobody else to ask."""
        self.timeline.note("controller refused", sentence=error.message)
        self.last_view = None

    def kill_controller(self, name: str = "") -> None:
        """As `kill -9`; it is started again by what watches over services. Of several the one that leads."""
        if self.ensemble is not None:
            self.ensemble.kill(name)
        elif self._daemon is not None:
            self._daemon.kill()

    def stop_controller(self, name: str = "") -> None:
        """As `systemctl stop`: it stays off."""
        if self.ensemble is not None:
            self.ensemble.stop(name)
            return
        self._begin_at = _NEVER
        if self._daemon is not None:
            self._daemon.stop()

    def start_controller(self, name: str = "") -> None:
        """As `systemctl restart`."""
        if self.ensemble is not None:
            self.ensemble.start(name)
            return
        self.stop_controller()
        self._begin_at = self.clock.monotonic()
        self._wake.set()

    def second_controller(self) -> None:
        """Another process on the same state directory: it should be refused, and does one pass if it is not."""
        if self.ensemble is not None:
            raise KeyError("ledger of its own: fleet.yaml has several controllers")
        try:
            with self.clock.aside(), controlling(self._surroundings(on_look=lambda _: None)) as session:
                view = session.look()
                self._others += 1
                session.execute(view, observer=SilentObserver(), stop=threading.Event())
        except ReconcilerError as error:
            self.timeline.note("second controller", sentence=f"refused: {error.message}")
        else:
            self.timeline.note("second controller", sentence="was let in")
        finally:
            self._others = 0

    def write(self, question: Question) -> None:
        """As a command does that writes into the ledger beside a controller; raises what that refuses."""
        if self.ensemble is not None:
            self.ensemble.ask(question)
            return
        with Ledger(self.settings.state_dir) as ledger:
            obey(question, ledger)

    def specs_with(self, file: PurePosixPath) -> SpecsFolder:
        """The folder that a path such as `specs/web.yaml`, or `specs-c2/web.yaml`, leads into."""
        return next((own for own in self._own_specs.values() if own.name == file.parts[0]), self.specs)

    def accept_specs_of(self, name: str) -> None:
        """Somebody says that those of that controller are the right ones."""
        self._in_force = self._own_specs.get(name, self.specs)
        self.read_wishes()

    def specs_changed(self) -> None:
        """Somebody wrote or removed files of the specs."""
        self.read_wishes()
        self.nudge("specs")

    def nudge(self, reason: str) -> None:
        """Have the controller look at once, where one runs."""
        if self.ensemble is not None:
            self.ensemble.nudge(reason)
        if self._daemon is not None:
            self._daemon.nudge(reason)

    def read_wishes(self) -> None:
        """What the files say now, and what they last said of each VM."""
        texts = self._in_force.texts()
        self._in_force = next((own for own in self._own_specs.values() if own.texts() == texts), self._in_force)
        desired = load(self._in_force.path, fleet=self.policy.fleet, image_size=self.images.virtual_size)
        self.wishes.now = desired
        self.wishes.policies.update({name: vm.spec.deletion_policy for name, vm in desired.vms.items()})
        named = {(name, disk.name) for name, vm in desired.vms.items() for disk in vm.spec.disks}
        self.wishes.note_disks(named, self.clock.monotonic())
        texts = self._in_force.texts()
        # Without any file nobody asks for anything: a directory that is not mounted looks like that.
        self.wishes.gone = {name for name in self.wishes.policies if texts and not _is_named(name, texts)}

    def ledger_view(self) -> LedgerView:
        """The ledger as it is on disk now, or in etcd; an empty one where it can't be read."""
        if self.ensemble is not None:
            return view_of(self.ensemble.cluster.reading(self.ensemble.keys.root), self.ensemble.keys)
        try:
            with Ledger.open_readonly(self.settings.state_dir) as ledger:
                return ledger.view()
        except ReconcilerError:
            return LedgerView()

    @property
    def settings(self) -> Settings:
        return self._settings_of(self._names[0])

    def state_dir_of(self, name: str) -> Path:
        """Raises KeyError for a name that no controller has."""
        return self.root / state_folders(self._names)[name]

    def _settings_of(self, name: str) -> Settings:
        folder = self.state_dir_of(name)
        return Settings(specs=self._own_specs.get(name, self.specs).path, state_dir=folder, policy=self.policy)

    # -- what is told ----------------------------------------------------------------------------------------------
    def _surroundings(
        self, on_look: Callable[[View], None], name: str | None = None, share: Share | None = None
    ) -> Surroundings:
        return Surroundings(
            settings=self._settings_of(name or self._names[0]),
            share=share,
            fleet=self.fleet,
            clock=self.clock,
            images=self.images,
            witness=self.ledger,
            devices=self.fence_room.devices,
            on_look=on_look,
            on_failure=self._witness.failed,
            looking_on=self.looking_on,
        )

    def _looked(self, view: View) -> None:
        self.last_view = view
        self._calls_at_look = len(self.fleet.world.calls)
        self.wishes.disposable = set(self.wishes.gone)
        self._witness.looked(view)
        self.promises.tick()

    def _on_mutation(self, call: MutatingCall, phase: Phase) -> None:
        if phase == "before":
            self.promises.before(call)
        if self.crash_points.is_here(call, phase):
            if self.ensemble is not None:
                self.ensemble.kill_runner()
            self.kill_controller()
        if phase == "after":
            self.promises.after(call)

    def _on_history(self, event: LedgerEvent) -> None:
        self._witness.happened(event)
        if event.event == FENCE_BEGAN:
            self.promises.fencing_begins(event.host)

    def _on_order_to_switch_off(self, host: str) -> None:
        self.promises.ordered_off(host)

    def _on_power_off(self, host: str) -> None:
        self.timeline.note("power switched off", f"Host/{host}", host)
        self.promises.fenced(host)

    def _on_violation(self, violation: Violation) -> None:
        self.timeline.note("VIOLATION", sentence=f"{violation.promise}: {violation.detail}")

    def _lock_is_held(self) -> bool:
        if self.ensemble is not None:
            return self.ensemble.runner_leads()
        return controller_holder(self.settings.state_dir) is not None

    def _controllers(self) -> int:
        if self.ensemble is not None:
            return 1  # however many run: the lock says which may act
        return (self._daemon is not None) + self._others


def _is_named(vm: str, texts: Iterable[str]) -> bool:
    """Whether any file, however broken, has an object of that name."""
    return any(re.search(rf"name: {re.escape(vm)}\b(?!-)", text) for text in texts)

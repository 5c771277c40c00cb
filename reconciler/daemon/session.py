"""One process's hold on the fleet: observe, plan, check, and on demand execute, pass after pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.config import Settings
from reconciler.daemon.kept_volumes import is_claimed_by, with_tombstones
from reconciler.daemon.last_seen import note_seen
from reconciler.daemon.retries import seconds_until_retry
from reconciler.daemon.source_words import source_problems
from reconciler.daemon.view import Converged, ConvergeObserver, View
from reconciler.hypervisor.interface import Fleet, HostEvent
from reconciler.ledger.controller_lock import Holder
from reconciler.ledger.controller_lock import controller as holder_of
from reconciler.ledger.finished import finished_volumes
from reconciler.ledger.old_copy import is_old_copy
from reconciler.ledger.rebuild import adopt_marks, unrecorded_placements
from reconciler.ledger.restored_disks import unrecorded_restores, with_restores
from reconciler.ledger.sightings import note_sightings
from reconciler.ledger.store import Ledger
from reconciler.ledger.wishes import unrecorded_policies
from reconciler.model.desired_state import DesiredState
from reconciler.model.inventory import ImageFacts, Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan
from reconciler.model.policy import Policy
from reconciler.observe.abilities import Abilities
from reconciler.observe.collector import Collector
from reconciler.observe.readers import Readers
from reconciler.specfiles.git_copy import followed, read_state
from reconciler.specfiles.loader import LoadedSpecs, load

if TYPE_CHECKING:
    from reconciler.daemon.health_keeper import HealthKeeper
    from reconciler.daemon.host_watch import HostWatch
    from reconciler.daemon.image_shelf import ImageShelf
    from reconciler.daemon.pass_inputs import PassInputs
    from reconciler.executor.crew import Crew
    from reconciler.executor.executor import Executor
    from reconciler.executor.interface import ActionEvent
    from reconciler.fencing.interface import PowerControl

HOSTS_TIMEOUT: Final = 30.0
"""Seconds that a pass waits for hosts at the most; see Collector for how it is usually far less."""


class Session:
    """The fleet as one process sees it; made by `opening.open_session`."""

    def __init__(
        self,
        settings: Settings,
        *,
        fleet: Fleet,
        ledger: Ledger,
        images: ImageShelf,
        clock: Clock,
        writer: str | None,
        dialled_at: float | None = None,
        readers: Readers | None = None,
        inputs: PassInputs | None = None,
        host_watch: HostWatch | None = None,
        power: PowerControl | None = None,
        crew: Crew | None = None,
        controller: Callable[[], Holder | None] | None = None,
        problems: Callable[[], tuple[str, ...]] = tuple,
        judge: Callable[[LoadedSpecs], DesiredState] = lambda specs: specs,
    ) -> None:
        self._directory = settings.specs_directory()
        is_followed = self._directory == followed(settings.state_dir)
        self._source = partial(read_state, settings.state_dir) if is_followed else lambda: None
        self._policy = settings.policy
        self.fleet = fleet
        self._ledger = ledger
        self._images = images
        self._clock = clock
        self._writer = writer
        self._problems = problems
        self._judge = judge
        self._controller = controller or partial(holder_of, settings.state_dir)
        self._inputs = inputs
        self._dialled_at = dialled_at
        self._collector = Collector(fleet, clock, readers)
        self._abilities = Abilities(fleet, clock, readers)
        self._specs: LoadedSpecs | None = None
        self._newest: Plan | None = None
        self._executor: Executor | None = None
        self._host_watch = host_watch
        self._power = power
        self._crew = crew
        self._keeper = self._health_keeper(host_watch) if host_watch is not None else None
        if writer is not None:
            self._carrier()

    @property
    def policy(self) -> Policy:
        return self._policy

    def look(
        self,
        *,
        timeout: float = HOSTS_TIMEOUT,
        in_flight: frozenset[str] = frozenset(),
        refresh: bool = False,
        resync_after: float = 0.0,
        meanwhile: Callable[[], None] | None = None,
        mobility: bool = False,
    ) -> View:
        """Load the specs, read every host, plan, and check the plan; changes nothing on any host.

        `in_flight` are objects that an earlier pass is still at; `meanwhile` is done while the hosts answer. With
        `mobility` the status tells where each VM could go. For `refresh` and `resync_after` see Collector. Raises
        LedgerError, and PlanRejected for a plan that breaks an invariant.
        """
        specs = self._load()
        desired: DesiredState = specs
        self.fleet.update({name: host.spec.uri for name, host in desired.hosts.items()})
        silent: dict[str, str] = {}
        if self._keeper is not None:
            # No device is even asked that may be another host's by now.
            self._keeper.follow(self._judge(specs), in_flight)
            silent = self._keeper.silent()
        round_ = self._collector.begin(
            desired, refresh=refresh, resync_after=resync_after, dialled_at=self._dialled_at, silent=silent
        )
        self._dialled_at = None
        # While the hosts answer: what needs no host, and the import of what is needed next.
        images = self._image_facts(desired)
        decide = import_module("reconciler.daemon.decision").decide
        if meanwhile is not None:
            meanwhile()
        self._ledger.refresh()
        desired = self._judge(specs)
        known, is_stranger = self._ledger.view(), import_module("reconciler.planner.host_identity").is_stranger
        usual = known.read_seconds if self._writer is None else {}
        other = partial(is_stranger, ledger=known, fleet=self._policy.fleet)
        inventory = self._collector.finish(round_, desired, images, timeout=timeout, usual=usual, is_stranger=other)
        rename = import_module("reconciler.planner.former_names").under_former_names
        desired = rename(desired, inventory, known, self._policy.fleet)
        to_ask = import_module("reconciler.planner.questions")
        asked = to_ask.questions(desired, inventory, known.placements, self._policy, everything=mobility)
        inventory = self._abilities.complete(inventory, asked)
        if asked:
            kinds = to_ask.missing_baselines(desired, inventory, self._policy)
            inventory = self._abilities.baselines(inventory, kinds)
        ledger = replace(self._remembered(desired, inventory, in_flight), in_flight=in_flight)
        ledger = with_tombstones(
            self._ledger, ledger, inventory, desired, self._policy, self._clock, writes=self._writer is not None
        )
        ledger = self._with_health(desired, inventory, ledger)
        now = self._clock.now()
        plan, status = decide(desired, inventory, ledger, self._policy, now, mobility=mobility)
        self._newest = plan
        if self._writer is not None and not (desired.removal_hold or desired.doubt):
            over = ledger.accepted_deletions - plan.deletions
            if over:
                self._ledger.forget_accepted_deletions(over)
            waiting = import_module("reconciler.planner.renaming").awaited(plan, desired, ledger)
            if waiting != ledger.awaited:
                self._ledger.note_awaited(waiting)
        controller = str(self._controller() or "") if not self._writer else ""
        source = self._source()
        troubles = () if source is None else source_problems(source, now)
        problems = (*status.problems, *troubles, *self._problems())
        status = replace(status, controller=controller, problems=problems, revision=desired.revision, source=source)
        return View(desired=desired, inventory=inventory, ledger=ledger, plan=plan, status=status, at=now)

    def converge(
        self,
        *,
        observer: ConvergeObserver,
        stop: threading.Event,
        expect: str | None = None,
        first: View | None = None,
    ) -> Converged:
        """Carry out passes until nothing is left to do, or nothing moves any more; see `convergence`."""
        carry_out: Callable[..., Converged] = import_module("reconciler.daemon.convergence").converge
        return carry_out(self, self._clock, observer=observer, stop=stop, expect=expect, first=first)

    def _load(self) -> LoadedSpecs:
        self._specs = load(
            self._directory,
            fleet=self._policy.fleet,
            previous=self._specs,
            image_size=self._images.virtual_size,
            plain_secrets=self._policy.plain_secrets,
        )
        return self._specs

    def _image_facts(self, desired: DesiredState) -> dict[str, ImageFacts]:
        fetched = {name: image for name, image in desired.images.items() if not image.spec.is_captured}
        return {name: self._images.facts(image) for name, image in fetched.items()}

    def _remembered(self, desired: DesiredState, inventory: Inventory, in_flight: frozenset[str]) -> LedgerView:
        """The ledger, completed from the marks on the hosts; written down by the one controller only."""
        view, now, fleet = self._ledger.view(), self._clock.now(), self._policy.fleet
        missing = unrecorded_placements(view, inventory, fleet, now, in_flight)
        if is_old_copy(view, missing, inventory):
            view = replace(view, hosts_read=frozenset())
            if self._writer is not None:
                self._ledger.forget_hosts_read()
        never_seen = desired.every_host - view.hosts_read - inventory.hosts.keys()
        missing = unrecorded_placements(view, inventory, fleet, now, in_flight, never_seen)
        unknown = inventory.hosts.keys() - view.hosts_read
        finished = finished_volumes(view, inventory, desired, in_flight)
        restored = unrecorded_restores(view, inventory, fleet, now, in_flight)
        view = with_restores(replace(view, intents=view.intents - finished), restored)
        if self._writer is None:
            placements = {**view.placements, **{placement.vm: placement for placement in missing}}
            return replace(view, placements=placements, hosts_read=view.hosts_read | inventory.hosts.keys())
        if restored:
            # Before placements: who knows where a VM is has to know which disks it has.
            self._ledger.finish_restores((vm.done, vm.volumes) for vm in restored)
        if missing or unknown:
            # Placements first: a host counts as read only once all that was found on it is written down.
            adopt_marks(self._ledger, inventory, fleet, now, in_flight, never_seen)
        is_news = note_sightings(self._ledger, view, inventory, fleet, in_flight)
        for volume in finished:
            self._ledger.finish_volume(volume.pool, volume.volume, volume.host)
        slower = self._new_speeds(view, inventory)
        if slower:
            self._ledger.note_host_read(slower)
        if missing or slower or is_news or restored:
            view = self._ledger.view()
        policies = unrecorded_policies(view, desired)
        if policies and not desired.doubt:
            self._ledger.note_deletion_policies(policies)
            view = self._ledger.view()
        return view

    def _with_health(self, desired: DesiredState, inventory: Inventory, view: LedgerView) -> LedgerView:
        """What hosts are taken for: judged by a controller that watches them, read by who looks on.

        Where none watches, no verdict is worth anything, and without one no host is ever fenced.
        """
        if self._keeper is not None:
            judged = self._keeper.note(desired, inventory, view, view.in_flight)
            return replace(judged, in_flight=view.in_flight)
        if self._writer is None:
            holder = self._controller()
            if holder is not None and holder.command == "run":
                # For the eye only, so the time of day will do.
                return replace(view, quiet=self._clock.now() - holder.since < self._policy.ha.quiet_period)
        else:
            note_seen(self._ledger, inventory, view)
            if view.incidents:
                note = import_module("reconciler.daemon.health_keeper").note_those_that_answer
                note(self._ledger, inventory, view, self._policy.fleet, self._clock.now())
                view = replace(self._ledger.view(), in_flight=view.in_flight)
        # Nobody has looked since: what a device said may hold no more. Whoever confirmed it answers for that.
        human = {host: proof for host, proof in view.proofs.items() if proof.kind == "human"}
        return replace(view, health={}, proofs=human)

    def _health_keeper(self, watch: HostWatch) -> HealthKeeper:
        """Made by a controller that watches only: commands that look never import it."""
        maker: type[HealthKeeper] = import_module("reconciler.daemon.health_keeper").HealthKeeper
        return maker(watch, self._ledger, self._clock, self._policy)

    def _carrier(self) -> Executor:
        """The one executor of this session, which commands that only look never import."""
        if self._executor is None:
            maker: type[Executor] = import_module("reconciler.executor.executor").Executor
            made = maker(self.fleet, self._ledger, self._images, self._policy, self._clock)
            made = made if self._power is None else replace(made, power=self._power)
            self._executor = made if self._crew is None else replace(made, crew=self._crew)
        return self._executor

    def execute(
        self, view: View, *, observer: ConvergeObserver, stop: threading.Event, pass_id: str = ""
    ) -> tuple[Outcome, ...]:
        """Carry out the plan of `view`; several may be under way at once, as long as they share no object."""

        def tell(event: ActionEvent) -> None:
            if event.action.host is not None:
                self._collector.touch(event.action.host)
            if event.outcome is None:
                observer.action_started(event.action)
            else:
                observer.action_ended(event.action, event.outcome)

        def progress(action_id: str, done: int, total: int | None) -> None:
            observer.action_progress(action_id, done, total or 0)

        def is_wanted(vm: str) -> bool:
            return self._specs is not None and vm in self._specs.vms

        def is_claimed(volume: str) -> bool:
            return self._specs is not None and is_claimed_by(self._specs, self._policy.fleet, volume)

        def is_asked(action: Action) -> bool:
            plan = self._newest
            if plan is None or action.host in plan.unseen or action.id in plan.held:
                return True
            return any(planned.id == action.id for planned in plan.actions)

        executor = replace(
            self._carrier(),
            on_event=tell,
            on_progress=progress,
            is_wanted=is_wanted,
            is_claimed=is_claimed,
            is_asked=is_asked,
        )
        return executor.execute(view.plan, view.desired, stop=stop, pass_id=pass_id)

    def _new_speeds(self, view: LedgerView, inventory: Inventory) -> dict[str, float]:
        """Hosts that are new to the ledger, or whose usual seconds it has wrong; few, so that it is seldom written."""
        measured = {name: seconds for name, seconds in self._collector.seconds.items() if name in inventory.hosts}
        return {
            name: max(seconds, 0.7 * view.read_seconds.get(name, 0.0))
            for name, seconds in measured.items()
            if name not in view.hosts_read or not view.read_seconds[name] / 2 <= seconds <= view.read_seconds[name]
        }

    def watch(self, notify: Callable[[HostEvent], None]) -> None:
        """Have `notify` called, from any thread, for what happens on the hosts; such a host is then read in full."""

        def tell(event: HostEvent) -> None:
            self._collector.touch(event.host)
            notify(event)

        self.fleet.subscribe(tell)

    @property
    def watched(self) -> float:
        """Seconds that hosts were watched for, with those of before a reload."""
        return 0.0 if self._host_watch is None else self._host_watch.lasted

    def watch_hosts(self, notify: Callable[[str], None]) -> None:
        """Begin to watch whether hosts live; `notify` is called, from any thread, when a pass should look at that."""
        if self._host_watch is not None:
            self._host_watch.subscribe(notify)
            self._host_watch.start()

    def note_input(self, view: View) -> str:
        """Keep what a pass of `converge` was decided from; its id."""
        from reconciler.daemon.passes import new_pass_id  # noqa: PLC0415  brings logging, which looking does without

        pass_id = new_pass_id()
        if self._inputs is not None:
            self._inputs.note(pass_id, view)
        return pass_id

    def record_pass(self, pass_id: str, view: View) -> None:
        """Remember what this pass decided, for `why`, and what from."""
        if self._inputs is not None:
            self._inputs.note(pass_id, view)
        self._ledger.record_pass(pass_id, view.plan.generation, view.plan.fingerprint, view.at)
        self._ledger.flush()
        wanted = (*(action.id for action in view.plan.actions), *view.plan.held)
        # What was worked on while the hosts were read may have failed since: the plan says nothing about that.
        self._ledger.forget_failures_except(wanted, on_hosts=view.plan.unseen, of=view.ledger.in_flight)

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    def collect_images(self, view: View) -> None:
        """Remove cached downloads that no image of the specs names any more; never while the specs are uncertain."""
        if not view.desired.removal_hold and not view.desired.unusable:
            self._images.collect({image.spec.checksum for image in view.desired.images.values() if image.spec.checksum})

    def forget_failures(self) -> None:
        """What failed before is tried again by the next plan."""
        self._ledger.forget_failures_except(())

    def until_retry(self, view: View) -> float | None:
        """Seconds until it is worth looking again without an event: a held action is due, or something passes."""
        return seconds_until_retry(view, self._clock.now())

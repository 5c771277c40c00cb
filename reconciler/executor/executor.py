"""Carries a plan out: one dispatcher, a pool of threads, one outcome per action."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import LedgerError, PreconditionFailed, ReconcilerError, is_transient
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.crew import Crew, Pool, Threads
from reconciler.executor.handlers.dispatch import perform
from reconciler.executor.interface import ActionEvent, EventCallback, ImageSource, ProgressCallback
from reconciler.executor.journal import Journal
from reconciler.executor.no_power import NoPower
from reconciler.executor.occupancy import Occupancy
from reconciler.executor.preconditions import why_too_late
from reconciler.executor.schedule import Schedule
from reconciler.executor.slots import slots_of, workers_for
from reconciler.fencing.interface import PowerControl
from reconciler.hypervisor.interface import Fleet
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan
from reconciler.model.policy import Policy


def _no_event(event: ActionEvent) -> None:
    """Nobody listens."""


def _no_progress(action_id: str, done: int, total: int | None) -> None:
    """Nobody watches."""


class _Finished(Struct, frozen=True):
    """What a worker hands to the dispatcher; `fatal` ends the pass."""

    action: Action
    outcome: Outcome | None = None
    fatal: BaseException | None = None


class Executor(Struct, frozen=True):
    """Carries out plans over `fleet`; several at once share the limits, and the locks of VMs and pools."""

    fleet: Fleet
    ledger: Ledger
    images: ImageSource
    policy: Policy
    clock: Clock
    on_event: EventCallback = _no_event
    on_progress: ProgressCallback = _no_progress
    occupancy: Occupancy = field(default_factory=Occupancy)
    power: PowerControl = NoPower()
    crew: Crew = Threads()
    is_wanted: Callable[[str], bool] = lambda _vm: False
    """Whether the newest specs have the VM: a removal under way ends where it is wanted again."""
    is_claimed: Callable[[str], bool] = lambda _volume: False
    """Whether they have a VM with the disk that a volume was made for: what is kept of it is not deleted then."""
    is_asked: Callable[[Action], bool] = lambda _action: True
    """Whether the newest plan still asks for the action: a guest is not forced off for what was decided long ago."""

    def execute(
        self, plan: Plan, desired: DesiredState, *, stop: threading.Event, pass_id: str = ""
    ) -> tuple[Outcome, ...]:
        """Do the plan's actions and return one outcome for each, in plan order.

        `desired` is what the plan was made from. Once `stop` is set nothing new begins, what can be handed back is,
        and the rest ends by its own deadlines. Raises LedgerError (after what runs has ended) if the ledger can't be
        written: nothing is done that could not be remembered.
        """
        return _Pass(self, plan, desired, stop, pass_id).run()


class _Pass:
    """One execution of one plan: the dispatcher runs in the caller's thread, handlers in the pool's."""

    def __init__(
        self, executor: Executor, plan: Plan, desired: DesiredState, stop: threading.Event, pass_id: str
    ) -> None:
        policy = executor.policy
        shared = frozenset(name for name, pool in desired.pools.items() if pool.spec.shared)
        self._executor = executor
        self._plan = plan
        self._desired = desired
        self._stop = stop
        self._pass_id = pass_id
        self._workers = workers_for(policy)
        self._schedule = Schedule(plan.actions, lambda action: slots_of(action, policy, shared), executor.occupancy)
        self._journal = Journal(executor.ledger, executor.clock, executor.on_event, pass_id)
        self._outcomes: dict[str, Outcome] = {}
        self._finished = executor.crew.results()
        """Of _Finished; None says that another pass gave slots back."""
        self._fatal: BaseException | None = None

    def run(self) -> tuple[Outcome, ...]:
        self._forget_what_is_not_wanted()
        with (
            self._executor.occupancy.listening(lambda: self._finished.put(None)),
            closing(self._schedule),
            self._executor.crew.pool(self._workers) as pool,
        ):
            self._dispatch(pool)
        if self._fatal is None:
            self._close_remaining()
        if self._fatal is not None:
            raise self._fatal
        return tuple(self._outcomes[action.id] for action in self._plan.actions)

    def _forget_what_is_not_wanted(self) -> None:
        """A failure to do what no plan wants any more must not be taken for one that stands."""
        wanted = (*(action.id for action in self._plan.actions), *self._plan.held)
        self._executor.ledger.forget_failures_except(wanted, on_hosts=self._plan.unseen)

    def _dispatch(self, pool: Pool) -> None:
        running = 0
        while True:
            for action in self._startable():
                pool.submit(self._work, action)
                running += 1
            if not running and (self._is_ending or not self._schedule.is_held_up):
                return
            finished: _Finished | None = self._finished.get()
            if finished is None:
                self._schedule.look_again()
            else:
                running -= 1
                self._take(finished)

    @property
    def _is_ending(self) -> bool:
        return self._stop.is_set() or self._fatal is not None

    def _startable(self) -> list[Action]:
        if self._is_ending:
            return []
        actions = self._schedule.start()
        for action in actions:
            self._journal.started(action)
        return actions

    def _work(self, action: Action) -> None:
        try:
            self._finished.put(_Finished(action, self._attempt(action)))
        except BaseException as error:  # noqa: BLE001  # the dispatcher raises it, in the caller's thread
            self._finished.put(_Finished(action, fatal=error))

    def _attempt(self, action: Action) -> Outcome:
        executor = self._executor
        context = ActionContext(
            action=action,
            fleet=executor.fleet,
            ledger=executor.ledger,
            images=executor.images,
            clock=executor.clock,
            stop=self._stop,
            fleet_name=executor.policy.fleet,
            desired=self._desired,
            on_progress=lambda done, total: executor.on_progress(action.id, done, total),
            followers=self._schedule.dependents(action),
            dead=frozenset(self._plan.dead),
            power=executor.power,
            ha=executor.policy.ha,
            is_wanted=executor.is_wanted,
            is_claimed=executor.is_claimed,
            is_asked=lambda: executor.is_asked(action),
        )
        begun = executor.clock.monotonic()
        outcome = _too_late(action, context) or _judge(action, context)
        return replace(outcome, seconds=executor.clock.monotonic() - begun)

    def _take(self, finished: _Finished) -> None:
        if finished.outcome is None:
            self._fatal = self._fatal or finished.fatal
            return
        succeeded = finished.outcome.status == "done"
        never = self._schedule.finish(finished.action, succeeded=succeeded)
        self._end(finished.action, finished.outcome)
        for skipped, cause in never:
            # Told at once: until then its object counts as being worked on, which a long upload can make hours.
            self._end(skipped, Outcome(skipped.id, "skipped", f"needs {cause}, which did not succeed", True))

    def _end(self, action: Action, outcome: Outcome) -> None:
        self._outcomes[action.id] = outcome
        if self._fatal is None:
            try:
                self._journal.ended(action, outcome)
            except LedgerError as error:
                self._fatal = error

    def _close_remaining(self) -> None:
        for action in self._schedule.remaining():
            if self._stop.is_set():
                self._outcomes[action.id] = Outcome(action.id, "handed-back", "not begun", transient=True)
            else:
                self._end(action, Outcome(action.id, "skipped", "what it needs is not in the plan", transient=True))


def _too_late(action: Action, context: ActionContext) -> Outcome | None:
    """No try, as nothing of it failed: the next window must not find it in a pause."""
    late = why_too_late(context)
    return Outcome(action.id, "skipped", late, transient=True) if late else None


def _judge(action: Action, context: ActionContext) -> Outcome:
    try:
        done = perform(context)
    except LedgerError:
        raise  # nothing may be done that can't be remembered
    except HandedBack:
        return Outcome(action.id, "handed-back", "stopped before its end", transient=True)
    except PreconditionFailed as error:
        return Outcome(action.id, "refused", error.message, transient=True, hint=error.hint)
    except ReconcilerError as error:
        if context.stop.is_set() and is_transient(error):
            return Outcome(action.id, "handed-back", "stopped before its end", transient=True)
        return Outcome(action.id, "failed", error.message, transient=is_transient(error), hint=error.hint)
    except Exception as error:  # noqa: BLE001  # a mistake of ours in one action must not hold up the fleet
        return Outcome(action.id, "failed", f"internal error: {type(error).__name__}: {error}", hint="report it")
    return Outcome(action.id, "done", done)

"""Observe, plan, execute, forever. Level-triggered: whatever woke it, a pass looks at everything."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from reconciler.clock import Clock, SystemClock
from reconciler.config import Settings
from reconciler.daemon.git_watch import GitWatch, following
from reconciler.daemon.guest_watch import GuestWatch
from reconciler.daemon.looking_on import LookingOn
from reconciler.daemon.notify import ServiceManager
from reconciler.daemon.onlookers import Onlooker, Onlookers
from reconciler.daemon.opening import Hold, hold_alone, session_on
from reconciler.daemon.passes import PassLog, new_pass_id
from reconciler.daemon.reload import RELOAD, Reload
from reconciler.daemon.repeats import Repeats
from reconciler.daemon.session import Session
from reconciler.daemon.triggers import Dirty, SpecsWatch, Watch
from reconciler.daemon.view import View
from reconciler.daemon.worker import Spawn, Workers
from reconciler.errors import ReconcilerError
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action

SWEEP: Final = 5.0
"""Seconds between passes when nothing calls for one: two calls a host."""
RESYNC: Final = 30.0
"""Seconds after which a host is read in full again: libvirt tells of many changes by no event at all."""
REFRESH: Final = 300.0
"""Seconds between passes that have libvirt look at the storage itself."""
PASS_TIMEOUT: Final = 20.0
"""Seconds that a pass waits for hosts at the most."""
HAND_BACK: Final = 10.0
"""Seconds that actions in flight are given to end after SIGTERM."""

log = structlog.get_logger()


class Timing(Struct, frozen=True):
    """How often the loop looks, in seconds."""

    sweep: float = SWEEP
    resync: float = RESYNC
    refresh: float = REFRESH


def run(settings: Settings, *, reread: Callable[[], Settings] | None = None, timing: Timing | None = None) -> None:
    """Run the daemon until SIGTERM or SIGINT; returns once what was in flight ended or was handed back.

    On SIGHUP, `reread` gives the settings as they are now. Raises ControllerRunning, StateError or UsageError if it
    can't begin.
    """
    clock = SystemClock()
    stop = threading.Event()
    dirty = Dirty(clock)
    git = GitWatch(settings, dirty, clock, stop) if settings.git is not None else None
    around = LookingOn(clock, on_news=None if git is None else git.ask)
    reload = Reload(settings, reread or (lambda: settings), ServiceManager())
    with _signals(stop, dirty, reload, git), following(git, stop):
        if stop.is_set():
            return
        if settings.etcd is not None:
            stand_by = import_module("reconciler.daemon.sharing").stand_by
            stand_by(settings, reload, clock, dirty, stop, timing or Timing(), around)
            return
        settings.specs_directory()
        with hold_alone(settings, "run", clock) as hold, around.served(settings):
            around.onlooker.led(0)
            govern(reload, hold, clock, dirty, stop, timing or Timing(), around)


def govern(
    reload: Reload,
    hold: Hold,
    clock: Clock,
    dirty: Dirty,
    stop: threading.Event,
    timing: Timing,
    around: LookingOn,
    why_over: Callable[[], str] = lambda: "",
) -> None:
    """Look after the fleet until `stop` is set, or `why_over` gives a reason; afresh whenever the settings change.

    The ledger, and with it the control of the fleet, is held all the time.
    """
    told = replace(hold, problems=lambda: (*hold.problems(), *reload.problems()))
    watched = 0.0
    while not stop.is_set() and not why_over():
        settings = reload.take_up()
        with session_on(settings, told, "run", clock, measured=around.measured, watched=watched) as session:
            look_after(settings, session, clock, dirty, stop, timing, around, lambda: why_over() or reload.why_over())
            watched = session.watched


def look_after(
    settings: Settings,
    session: Session,
    clock: Clock,
    dirty: Dirty,
    stop: threading.Event,
    timing: Timing,
    around: LookingOn,
    why_over: Callable[[], str] = lambda: "",
) -> None:
    """Have the loop run on `session` until `stop` is set, or `why_over` gives a reason."""
    session.watch(lambda event: dirty.mark(f"{event.kind} on {event.host}"))
    session.watch_hosts(lambda reason: dirty.mark(reason, urgent=True))
    guests = GuestWatch(session.fleet, session.ledger.record_silent_guests, clock, notify=dirty.mark)
    around.follow(session.ledger)
    with (
        SpecsWatch(settings.specs_directory(), dirty) as watch,
        closing(guests),
        around.notifying(settings, session.ledger) as onlooker,
    ):
        guests.start()
        Loop(session, watch, dirty, clock, timing, guests=guests, onlooker=onlooker).run(stop, why_over)


class Loop:
    """The daemon's one thread of decisions; actions run on others."""

    def __init__(
        self,
        session: Session,
        watch: Watch,
        dirty: Dirty,
        clock: Clock,
        timing: Timing,
        *,
        spawn: Spawn | None = None,
        guests: GuestWatch | None = None,
        onlooker: Onlooker | None = None,
    ) -> None:
        self._session = session
        self._watch = watch
        self._dirty = dirty
        self._clock = clock
        self._timing = timing
        self._service = ServiceManager()
        self._said = ""
        self._trouble = ""
        self._workers = Workers(session, clock, self._on_end, spawn=spawn, on_outcome=self._on_outcome)
        self._onlooker = onlooker or Onlookers()
        self._repeats = Repeats(clock)
        self._passes = PassLog()
        self._guests = guests
        self._refreshed = clock.monotonic()

    def _on_end(self, urgent: bool) -> None:
        self._dirty.mark("actions ended", urgent=urgent)

    def _on_outcome(self, action: Action, outcome: Outcome) -> None:
        if outcome.status == "done":
            self._repeats.done(action)
        self._onlooker.action_ended(action, outcome)

    def run(self, stop: threading.Event, why_over: Callable[[], str] = lambda: "") -> None:
        """Pass after pass until `stop` is set, or `why_over` gives a reason: this controller does not lead any more."""
        log.info("daemon.started")
        reasons: tuple[str, ...] = ("start",)
        ready = False
        while not stop.is_set() and not why_over():
            view = self._pass(reasons)
            if not ready or RELOAD in reasons:
                # Also after a pass that failed, as on a full disk: it tries again, so systemd must not end it.
                self._service.ready(self._said)
                ready = True
            reasons = self._wait(view, lambda: stop.is_set() or bool(why_over()))
        if stop.is_set():
            self._service.stopping()
        else:
            self._service.status(why_over())
        log.info("daemon.stopping", in_flight=len(self._workers.targets))
        self._workers.stop(HAND_BACK)
        log.info("daemon.stopped")

    def _pass(self, reasons: tuple[str, ...]) -> View | None:
        pass_id = new_pass_id()
        with structlog.contextvars.bound_contextvars(pass_id=pass_id):
            try:
                view = self._look_and_act(pass_id, reasons)
            except ReconcilerError as error:
                # A pass that can't decide changes nothing; the next one tries again, and is told of for another reason.
                if str(error) != self._trouble:
                    log.error("pass.failed", error=str(error))  # noqa: TRY400  the text says it all; a traceback is for mistakes of ours
                self._trouble = str(error)
                self._tell(f"pass failed: {error}")
                self._onlooker.pass_failed(pass_id, error)
                return None
            if self._trouble:
                log.info("pass.works_again")
            self._trouble = ""
            return view

    def _look_and_act(self, pass_id: str, reasons: tuple[str, ...]) -> View:
        self._watch.renew()
        begun = self._clock.monotonic()
        refresh = RELOAD in reasons or begun - self._refreshed >= self._timing.refresh
        view = self._session.look(
            timeout=PASS_TIMEOUT,
            in_flight=self._workers.targets,
            refresh=refresh,
            resync_after=0.0 if RELOAD in reasons else self._timing.resync,
        )
        if refresh:
            self._refreshed = begun
            self._session.collect_images(view)
        seconds = self._clock.monotonic() - begun
        self._passes.note(view, reasons, seconds=seconds)
        self._session.record_pass(pass_id, view)
        self._onlooker.passed(pass_id, view, seconds)
        if self._guests is not None:
            self._guests.follow(view)
        self._tell(_sentence(view))
        if view.plan.actions and not self._repeats.pause(view.plan):
            self._workers.start(view, pass_id)
        return view

    def _tell(self, sentence: str) -> None:
        self._said = sentence
        self._service.status(sentence)

    def _wait(self, view: View | None, is_over: Callable[[], bool]) -> tuple[str, ...]:
        """Until something is dirty, a retry or a repeat is due or the sweep is; the watchdog is fed meanwhile."""
        deadline = self._clock.monotonic() + self._pause(view)
        interval = ServiceManager.watchdog_interval() or self._timing.sweep
        while not is_over():
            self._service.alive()
            self._onlooker.turned()
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return ("sweep",)
            reasons = self._dirty.wait(min(left, interval))
            if reasons:
                return reasons
        return ("stop",)

    def _pause(self, view: View | None) -> float:
        if view is None:
            return self._timing.sweep
        retry, repeat = self._session.until_retry(view), self._repeats.pause(view.plan)
        pauses = [self._timing.sweep, *([] if retry is None else [retry]), *([repeat] if repeat else [])]
        return min(pauses)


def _sentence(view: View) -> str:
    """`6 VMs, 6 running; 2 changes in progress; 1 host unreachable`."""
    running = sum(vm.health == "running" for vm in view.status.vms)
    parts = [f"{len(view.status.vms)} VMs, {running} running"]
    if view.plan.actions:
        parts.append(f"{len(view.plan.actions)} actions planned")
    if view.plan.unmet:
        parts.append(f"{len(view.plan.unmet)} waiting or blocked")
    if view.plan.unseen:
        parts.append(f"can't see {', '.join(view.plan.unseen)}")
    return "; ".join([*parts, *view.status.problems])


class _signals:  # noqa: N801  used as a context manager, like contextlib's
    """SIGTERM and SIGINT set `stop`, SIGHUP asks `reload`; each wakes the loop.

    What was there before comes back afterwards.
    """

    def __init__(self, stop: threading.Event, dirty: Dirty, reload: Reload, git: GitWatch | None) -> None:
        self._stop = stop
        self._dirty = dirty
        self._reload = reload
        self._git = git
        self._before: dict[int, Callable[..., object] | int | None] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        reason = RELOAD if number == signal.SIGHUP else "signal"
        if reason == RELOAD:
            self._reload.ask()
        else:
            self._stop.set()
        # A lock may be held by the very code that the signal interrupted: wake the loop from another thread.
        threading.Thread(target=self._wake, args=(reason,), daemon=True).start()

    def _wake(self, reason: str) -> None:
        self._dirty.mark(reason, urgent=True)
        if self._git is not None:
            self._git.ask()

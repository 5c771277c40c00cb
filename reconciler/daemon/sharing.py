"""Sessions of controllers that share a ledger; imported only where the configuration names an etcd."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import structlog
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.config import Settings
from reconciler.daemon.generations import GenerationWatch
from reconciler.daemon.looking_on import LookingOn
from reconciler.daemon.loop import Timing, govern
from reconciler.daemon.notify import ServiceManager
from reconciler.daemon.opening import Hold
from reconciler.daemon.reload import Reload
from reconciler.daemon.shared_ledger import SharedLedger, shared_ledger
from reconciler.daemon.specs_judge import SpecsJudge, SpecsOnlooker
from reconciler.daemon.standby import StandBy
from reconciler.daemon.triggers import Dirty
from reconciler.leadership.lead import Lead
from reconciler.leadership.standbys import Presence
from reconciler.ledger.asking import Responder
from reconciler.ledger.controller_id import controller_of, known_controller
from reconciler.ledger.controller_lock import ControllerLock

log = structlog.get_logger()


@contextmanager
def take_hold(settings: Settings, writer: str | None) -> Iterator[Hold]:
    """For `open_session`: to look, or to lead for one command; raises what SharedLedger does."""
    with shared_ledger(settings) as shared:
        if writer is None:
            with shared.copy() as ledger:
                known = known_controller(settings.state_dir, shared.name)
                looks = SpecsOnlooker(ledger, SpecsJudge(ledger, known, shared.clock), lambda: bool(shared.holder()))

                def problems() -> tuple[str, ...]:
                    return (*shared.problems(), *looks.problems())

                yield Hold(ledger, controller=shared.holder, problems=problems, judge=looks.judge)
        else:
            with (
                shared.candidate(writer).leading() as lead,
                _leading(shared, lead, lambda _: None, lambda _: None) as hold,
            ):
                yield hold


def stand_by(
    settings: Settings,
    reload: Reload,
    clock: Clock,
    dirty: Dirty,
    stop: threading.Event,
    timing: Timing,
    around: LookingOn,
) -> None:
    """Be one of several daemons until `stop` is set: lead, or wait for who does."""
    specs = settings.specs_directory()
    service = ServiceManager()
    is_ready = False

    def tell(sentence: str) -> None:
        nonlocal is_ready
        around.onlooker.stood_by(sentence)
        if is_ready:
            service.status(sentence)
            service.alive()
        else:
            is_ready = True
            service.ready(sentence)

    with (
        ControllerLock(settings.state_dir, "run", clock),
        around.served(settings),
        shared_ledger(settings) as shared,
    ):

        def rule(lead: Lead) -> None:
            around.onlooker.led(lead.leader.term)
            on_loss = partial(dirty.mark, "lead lost", urgent=True)
            moves = shared.own_file.is_there
            presence.close()

            def why_over() -> str:
                return f"stopped leading: {lead.why_lost}" if lead.why_lost else ""

            with _leading(shared, lead, lambda _: on_loss(), dirty.mark) as hold:
                if moves:
                    log.info("ledger.moved_to_etcd", file=str(shared.own_file.path), etcd=shared.store.name)
                govern(reload, hold, clock, dirty, stop, timing, around, why_over)

        def meanwhile() -> None:
            watch.look()
            presence.keep()

        watch = GenerationWatch(specs, shared.store, shared.keys, clock)
        me = shared.standby(clock.now())
        presence = Presence(
            shared.store, shared.keys, shared.clock, lambda: replace(me, generation=watch.own.generation)
        )
        with closing(presence):
            StandBy(shared.candidate("run"), clock, rule, tell, meanwhile).run(stop)


@contextmanager
def _leading(
    shared: SharedLedger, lead: Lead, on_loss: Callable[[str], None], on_command: Callable[[str], None]
) -> Iterator[Hold]:
    """Keep the lead, and answer what commands ask; whoever holds it gives it up."""
    with ExitStack() as stack:
        lead.on_loss(on_loss)
        stack.enter_context(_again_and_again(lead.poll, "lead"))
        ledger = stack.enter_context(shared.working_copy(lead))
        stack.callback(_flush, lead, ledger.flush)
        responder = Responder(ledger, lead, shared.store, shared.keys, on_command)
        stack.enter_context(_again_and_again(responder.poll, "requests"))
        judge = SpecsJudge(ledger, controller_of(shared.settings.state_dir, lead.leader.name), shared.clock).judge
        yield Hold(ledger, check=lead.check, controller=shared.holder, judge=judge)


def _flush(lead: Lead, flush: Callable[[], None]) -> None:
    if not lead.why_lost:
        flush()


@contextmanager
def _again_and_again(poll: Callable[[], float], name: str) -> Iterator[None]:
    """Have a thread call `poll`, with the pauses that it asks for, while the block runs."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                pause = poll()
            except Exception:
                log.exception("thread.failed", thread=name)
                pause = 1.0
            over.wait(pause)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5.0)

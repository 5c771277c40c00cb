"""Asks the agents of guests, where specs want that, whether they live; silence is told and nothing is done about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from reconciler.clock import Clock
from reconciler.daemon.view import View
from reconciler.errors import HostError
from reconciler.hypervisor.interface import Fleet
from reconciler.model.domain import DomainState

log = structlog.get_logger()

_ASKS: Final = 3
"""How often an agent is asked within the silence that its spec allows."""
_IDLE: Final = 5.0
"""Seconds between looks where no guest is to be asked."""
_SHORTEST: Final = 0.2
_AT_ONCE: Final = 16
_RUNNING: Final[DomainState] = "running"

Submit = Callable[[Callable[[], None]], object]
"""Has work done that may take seconds, somewhere else."""
Remember = Callable[[Mapping[str, float]], None]
"""Writes down which guests are silent, and since when (wall time)."""


class _Guest(Struct):
    """One guest; times are monotonic."""

    vm: str
    host: str
    uuid: str
    liveness: float
    answered_at: float
    """Last answer; at first, when it was first seen running."""
    ask_at: float
    is_asked: bool = False
    silent_since: float | None = None
    """Wall time, for people."""


class GuestWatch:
    """The guests with `guestAgent.liveness`, watched; safe to use from several threads.

    All is done by `poll`, which never waits, so that a simulation can call it in its own time; `start` has a thread
    call it. A guest counts as silent once it was asked in vain after its time: neither a controller that slept nor a
    host that does not answer makes it so.
    """

    def __init__(
        self,
        fleet: Fleet,
        remember: Remember,
        clock: Clock,
        *,
        notify: Callable[[str], None] = lambda _: None,
        submit: Submit | None = None,
    ) -> None:
        self._fleet = fleet
        self._remember = remember
        self._clock = clock
        self._notify = notify
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="guest-agent")
        self._submit = submit or self._pool.submit
        self._lock = threading.Lock()
        self._guests: dict[str, _Guest] = {}
        self._told: dict[str, float] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, view: View) -> None:
        """Watch the guests that want it and run, as they were just seen."""
        now = self._clock.monotonic()
        found = {guest.vm: guest for guest in _wanted(view, now)}
        with self._lock:
            for name, guest in found.items():
                known = self._guests.get(name)
                if known is not None and (known.host, known.uuid) == (guest.host, guest.uuid):
                    known.liveness = guest.liveness
                    found[name] = known
            self._guests = found
        self._tell()

    def poll(self) -> float:
        """Have agents asked that are due, one a host at a time; return the seconds until the next look."""
        now = self._clock.monotonic()
        with self._lock:
            due = self._take_due(now)
            pause = min((guest.ask_at - now for guest in self._guests.values()), default=_IDLE)
        for guest in due:
            self._submit(partial(self._ask, guest))
        return min(_IDLE, max(_SHORTEST, pause))

    def start(self) -> None:
        """Poll in a thread until `close`."""
        self._thread = threading.Thread(target=self._run, name="guest-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop asking; what is under way is not waited for. Nobody is said to be silent any more."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._thread is not None:
            self._thread.join(timeout=1)
        with self._lock:
            self._guests = {}
        self._tell()

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = _IDLE
            try:
                pause = self.poll()
            except Exception:
                # A mistake of ours must not end the watch.
                log.exception("guest_watch.failed")
            self._clock.wait(self._stop, pause)

    def _take_due(self, now: float) -> list[_Guest]:
        # One a host: a silent agent holds up a call for seconds, and the host's other calls must find threads.
        busy = {guest.host for guest in self._guests.values() if guest.is_asked}
        due: list[_Guest] = []
        for guest in sorted(self._guests.values(), key=lambda guest: guest.ask_at):
            if guest.ask_at <= now and guest.host not in busy:
                busy.add(guest.host)
                guest.is_asked, guest.ask_at = True, now + guest.liveness / _ASKS
                due.append(guest)
        return due

    def _ask(self, guest: _Guest) -> None:
        answer: bool | None = None
        try:
            answer = self._fleet.host(guest.host).guest_answers(guest.uuid)
        except (HostError, KeyError) as error:
            log.debug("guest_watch.not_asked", object=f"VirtualMachine/{guest.vm}", host=guest.host, error=str(error))
        finally:
            self._note(guest, answer)

    def _note(self, guest: _Guest, answer: bool | None) -> None:
        """None says that the host did not answer: nothing is known of the guest, and its time begins anew."""
        now = self._clock.monotonic()
        with self._lock:
            guest.is_asked = False
            if answer is None and guest.silent_since is None:
                guest.answered_at = now
            elif answer:
                guest.answered_at, guest.silent_since = now, None
            elif answer is False and guest.silent_since is None and now - guest.answered_at >= guest.liveness:
                guest.silent_since = self._clock.now() - (now - guest.answered_at)
        self._tell()

    def _tell(self) -> None:
        """Write down who is silent, where that changed, and have it looked at."""
        with self._lock:
            silent = {guest.vm: guest.silent_since for guest in self._guests.values() if guest.silent_since is not None}
            before, self._told = self._told, silent
            if silent == before:
                return
            self._remember(silent)
        changed = sorted(silent.keys() ^ (before or {}).keys())
        if changed:
            log.info("guests.silent", silent=sorted(silent), changed=changed)
            self._notify(f"guest agent of {', '.join(changed)}")


def _wanted(view: View, now: float) -> Iterator[_Guest]:
    """Guests that run in sight, are ours, and whose agents are to be asked."""
    wanted = {name: vm.spec.guest_agent.liveness for name, vm in view.desired.vms.items() if vm.spec.guest_agent}
    if not wanted:
        return
    for host in view.inventory.hosts.values():
        for name in _names(host.domains, wanted):
            domain, placement = host.domains[name], view.ledger.placements.get(name)
            if domain.state == _RUNNING and placement is not None and placement.host == host.name:
                yield _Guest(name, host.name, domain.uuid, wanted[name], answered_at=now, ask_at=now)


def _names(here: Collection[str], wanted: Collection[str]) -> list[str]:
    return [name for name in wanted if name in here]

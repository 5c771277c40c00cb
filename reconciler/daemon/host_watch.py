"""Watches whether hosts live: asks each one something cheap again and again, and the fence device of those silent.

It decides nothing: it gives signs, and says when they have changed so far that a pass should look at them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from reconciler.clock import Clock
from reconciler.fencing.interface import PowerControl
from reconciler.hypervisor.interface import Fleet, Pulse
from reconciler.model.health import HostSigns, Power
from reconciler.model.host import Host
from reconciler.model.policy import HighAvailability

log = structlog.get_logger()

_DEVICES_AT_ONCE: Final = 8
"""Devices that are asked at once: where many hosts are silent, something else is the matter."""
_OFF_HOLDS: Final = 5.0
"""Seconds after which a device that said `off` is asked again."""
_CHECK_EVERY: Final = 300.0
"""Seconds between two questions to the device of a host that answers."""
_CHECK_AGAIN: Final = 30.0
"""Seconds after which it is asked again, if it did not say `on` the first time."""
_MISSES: Final = 2
"""Questions in a row after which a device is in doubt."""
_SHORTEST: Final = 0.05
"""Seconds between two looks at the least."""

Submit = Callable[[Callable[[], None]], None]
"""Has work done that may take long, somewhere else."""


class _Watched(Struct):
    """One host; times are monotonic, and `silent` and `watched` count only time in which somebody looked."""

    host: Host
    began: float
    looked_at: float
    watched: float = 0.0
    silent: float | None = None
    answered_at: float | None = None
    counted_at: float = 0.0
    answers: int = 0
    is_shaken: bool = False
    """It was silent for a while, and has not answered steadily since."""
    took: float = 0.0
    error: str = ""
    power: Power = "unknown"
    power_asked_at: float | None = None
    is_asking: bool = False
    ask_after: float = 0.0
    check_after: float = 0.0
    misses: int = 0
    """Times in a row that its device did not say `on` though the host answers."""
    missed: Power = "unknown"
    """What it said instead."""
    identity_changed: bool = False
    phase: tuple[object, ...] = ()

    @property
    def silence(self) -> float:
        return self.watched if self.silent is None else self.silent

    @property
    def device_doubt(self) -> str:
        if self.misses < _MISSES:
            return ""
        return "says that its power is off" if self.missed == "off" else "does not answer"

    def signs(self, now: float) -> HostSigns:
        asked = self.power_asked_at
        return HostSigns(
            self.host.name,
            self.silent,
            self.watched,
            answered_at=self.answered_at,
            answers=self.answers,
            error=self.error,
            slow=self.took,
            power=self.power,
            power_age=None if asked is None else now - asked,
            device_doubt=self.device_doubt,
            identity_changed=self.identity_changed,
        )


class HostWatch:
    """The hosts of the specs, watched; safe to use from several threads.

    All is done by `poll`, which never waits, so that a simulation can call it in its own time; `start` has a thread
    call it. `submit` is where fence devices are asked; a thread each where none is given. `watched_before` are the
    seconds that a watch which this one takes the place of had lasted: they count for the quiet period.
    """

    def __init__(
        self,
        fleet: Fleet,
        power: PowerControl,
        clock: Clock,
        policy: HighAvailability,
        *,
        notify: Callable[[str], None] = lambda _: None,
        submit: Submit | None = None,
        watched_before: float = 0.0,
    ) -> None:
        self._fleet = fleet
        self._power = power
        self._clock = clock
        self._policy = policy
        self._probing = policy.probing
        self._notify = notify
        self._submit = submit or _in_a_thread
        self._lock = threading.Lock()
        self._hosts: dict[str, _Watched] = {}
        self._unasked: frozenset[str] = frozenset()
        self._checked: frozenset[str] = frozenset()
        self._is_checking = False
        self._looked_at = clock.monotonic()
        # Hosts are looked at anew all the same: of none anything is concluded before it could be called unreachable.
        self._uptime = max(0.0, min(watched_before, policy.quiet_period - policy.probing.unreachable_after))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- what is watched -------------------------------------------------------------------------------------------
    def subscribe(self, notify: Callable[[str], None]) -> None:
        """Have `notify` called, from any thread, with a word or two, when a pass should look at the signs."""
        self._notify = notify

    def follow(
        self, hosts: Mapping[str, Host], *, unasked: Collection[str] = (), checked: Collection[str] = ()
    ) -> None:
        """Watch these hosts from now on; the fence devices of `unasked` are left alone.

        Those of `checked` are asked now and then while their host answers, lest it is found out too late that they
        don't.
        """
        now = self._clock.monotonic()
        with self._lock:
            self._unasked, self._checked = frozenset(unasked), frozenset(checked)
            for name in self._hosts.keys() - hosts.keys():
                del self._hosts[name]
            for name, host in hosts.items():
                if name in self._hosts:
                    known = self._hosts[name]
                    if name not in self._checked or known.host.spec.fencing != host.spec.fencing:
                        known.misses = 0
                    known.host = host
                else:
                    self._hosts[name] = _Watched(host, began=now, looked_at=now)

    def note_identity(self, host: str, *, changed: bool) -> None:
        """Whether the machine that answers is another one than that on record."""
        with self._lock:
            if host in self._hosts:
                self._hosts[host].identity_changed = changed

    # -- what is seen ----------------------------------------------------------------------------------------------
    @property
    def quiet(self) -> bool:
        """Whether the watch is too young for anything to be concluded from it."""
        return self._uptime < self._policy.quiet_period

    @property
    def lasted(self) -> float:
        """Seconds of watching, with those of the watches that it took the place of."""
        return self._uptime

    def signs(self) -> dict[str, HostSigns]:
        """What is seen of each host now."""
        now = self._clock.monotonic()
        with self._lock:
            self._look(now)
            return {name: watched.signs(now) for name, watched in self._hosts.items()}

    def silent(self) -> dict[str, str]:
        """Hosts that are not worth asking anything now, and why; never waits."""
        with self._lock:
            return {
                name: watched.error or "no answer"
                for name, watched in self._hosts.items()
                if watched.silence >= self._probing.suspect_after
            }

    # -- watching --------------------------------------------------------------------------------------------------
    def poll(self) -> float:
        """Look at every host, and have the devices of silent ones asked; return the seconds until the next look.

        What the answers to this look are, the next one tells.
        """
        now = self._clock.monotonic()
        with self._changes() as changes, self._lock:
            was_quiet = self.quiet
            self._look(now)
            if was_quiet and not self.quiet:
                changes.append("quiet period over")
            changes += [self._change(name, watched) for name, watched in self._hosts.items()]
            asked, checked = self._to_ask(now), self._to_check(now)
            pause = min((self._until_due(watched) for watched in self._hosts.values()), default=self._probing.interval)
        for watched in asked:
            self._submit(partial(self._ask_device, watched, now))
        for watched in checked:
            self._submit(partial(self._check_device, watched))
        return max(_SHORTEST, min(self._probing.interval, pause))

    def start(self) -> None:
        """Poll in a thread until `close`."""
        self._thread = threading.Thread(target=self._run, name="host-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop polling; devices that are being asked are not waited for."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = self._probing.interval
            try:
                pause = self.poll()
            except Exception:
                # A mistake of ours must not end the watch: whoever is not watched can't be recovered.
                log.exception("watch.failed")
            self._clock.wait(self._stop, pause)

    @contextmanager
    def _changes(self) -> Iterator[list[str]]:
        """Changes that are told once the lock is given back."""
        changes: list[str] = []
        yield changes
        for change in filter(None, changes):
            self._notify(change)

    # -- one look --------------------------------------------------------------------------------------------------
    def _look(self, now: float) -> None:
        # Time in which nobody looked, such as while this process was stopped, is nobody's silence.
        longest = 2 * self._probing.interval
        self._uptime += min(now - self._looked_at, longest)
        self._looked_at = now
        for name, watched in self._hosts.items():
            try:
                pulse = self._fleet.host(name).pulse()
            except KeyError:  # it is leaving the fleet, or has not come yet
                continue
            passed = min(now - watched.looked_at, longest)
            watched.watched += passed
            watched.looked_at = now
            watched.took, watched.error = pulse.took, pulse.error
            if self._is_news(watched, pulse):
                self._note_answer(watched, pulse, now)
            elif watched.silent is not None:
                watched.silent += passed
            if watched.silence >= self._probing.suspect_after:
                watched.answers, watched.is_shaken = 0, True
            elif watched.answers >= self._policy.steady_answers:
                watched.is_shaken = False

    @staticmethod
    def _is_news(watched: _Watched, pulse: Pulse) -> bool:
        """Whether it has answered since the last look; what it answered to an earlier controller does not count."""
        at = pulse.answered_at
        return at is not None and at >= watched.began and (watched.answered_at is None or at > watched.answered_at)

    def _note_answer(self, watched: _Watched, pulse: Pulse, now: float) -> None:
        at = pulse.answered_at or 0.0
        # Many calls at once are one answer: steady is what is steady for a while.
        if watched.answers == 0 or at - watched.counted_at >= self._probing.interval / 2:
            watched.answers = min(watched.answers + 1, self._policy.steady_answers)
            watched.counted_at = at
        watched.answered_at = at
        # It answered what it was asked; that it was not asked again for a while is our doing.
        freshest = min(self._probing.interval, self._probing.suspect_after / 2)
        watched.silent = max(0.0, min(now - at, freshest))
        watched.power, watched.power_asked_at = "unknown", None

    def _change(self, name: str, watched: _Watched) -> str:
        """What a pass should know that it could not know before; empty for nothing."""
        probing, silence = self._probing, watched.silence
        is_suspect = silence >= probing.suspect_after
        phase: tuple[object, ...] = (
            watched.answered_at is not None,
            is_suspect,
            silence >= probing.unreachable_after,
            watched.power if is_suspect else "",
            watched.is_shaken,
        )
        before, watched.phase = watched.phase, phase
        if phase == before or (not before and not is_suspect):
            return ""
        return f"{name} is silent" if is_suspect else f"{name} answers"

    def _until_due(self, watched: _Watched) -> float:
        """Seconds until its silence, if it goes on, is long enough for another verdict."""
        limits = (self._probing.suspect_after, self._probing.unreachable_after)
        return min((limit - watched.silence for limit in limits if limit > watched.silence), default=float("inf"))

    # -- fence devices ---------------------------------------------------------------------------------------------
    def _to_ask(self, now: float) -> list[_Watched]:
        """Silent hosts whose device is to be asked now, those that have waited longest first."""
        room = _DEVICES_AT_ONCE - sum(watched.is_asking for watched in self._hosts.values())
        due = [
            watched
            for name, watched in self._hosts.items()
            if watched.host.spec.fencing
            and name not in self._unasked
            and not watched.is_asking
            and watched.silence >= self._probing.suspect_after
            and now >= watched.ask_after
        ]
        chosen = sorted(due, key=lambda watched: watched.ask_after)[: max(0, room)]
        for watched in chosen:
            watched.is_asking = True
        return chosen

    def _to_check(self, now: float) -> list[_Watched]:
        """The one that answers and whose device was not asked for the longest time; none while another is asked."""
        due = [
            watched
            for name, watched in self._hosts.items()
            if name in self._checked - self._unasked
            and not watched.is_asking
            and watched.silent is not None
            and watched.silent < self._probing.suspect_after
            and now >= watched.check_after
        ]
        if self._is_checking or not due:
            return []
        chosen = min(due, key=lambda watched: watched.check_after)
        chosen.is_asking = self._is_checking = True
        return [chosen]

    def _check_device(self, watched: _Watched) -> None:
        power, name = self._power_of(watched.host), watched.host.name
        with self._changes() as changes, self._lock:
            watched.is_asking = self._is_checking = False
            if watched.silence >= self._probing.suspect_after:
                return  # it is asked anew, as the device of a host that is silent
            before = watched.device_doubt
            watched.misses, watched.missed = (0 if power == "on" else watched.misses + 1), power
            pause = _CHECK_AGAIN if 0 < watched.misses < _MISSES else _CHECK_EVERY
            watched.check_after = self._clock.monotonic() + pause
            if bool(before) != bool(watched.device_doubt) and self._hosts.get(name) is watched:
                changes.append(f"the fence device of {name} {'is in doubt' if watched.device_doubt else 'answers'}")

    def _power_of(self, host: Host) -> Power:
        try:
            return self._power.power(host)
        except Exception:
            # A mistake of ours must not leave the host marked as being asked for ever.
            log.exception("watch.device_failed", host=host.name)
            return "unknown"

    def _ask_device(self, watched: _Watched, asked_at: float) -> None:
        power, name = self._power_of(watched.host), watched.host.name
        with self._changes() as changes, self._lock:
            watched.is_asking = False
            watched.ask_after = self._clock.monotonic() + (_OFF_HOLDS if power == "off" else self._probing.interval)
            if watched.answered_at is None or watched.answered_at < asked_at:
                watched.power, watched.power_asked_at = power, asked_at
                if self._hosts.get(name) is watched:
                    changes.append(self._change(name, watched))


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="fence-device", daemon=True).start()

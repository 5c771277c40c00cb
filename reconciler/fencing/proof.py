"""Makes sure that a host is off: level after level, until a device that was asked says `off`."""

from __future__ import annotations

import threading
from typing import Final

from msgspec import Struct

from reconciler.errors import FencingError, FencingFailed, FencingStopped
from reconciler.fencing.interface import AttemptLog
from reconciler.fencing.last_words import LastWords
from reconciler.fencing.levels import Asker, Level, Stopped, levels_of
from reconciler.model.health import AttemptEnd, FenceProof, Power, ProofKind
from reconciler.model.host import Host

_SETTLING: Final = 15.0
"""Seconds in which a device that reported success must come to say `off`: some report it before the power is gone."""
_ASK_AGAIN: Final = 0.5


class _LevelFailed(Exception):
    """The level could not prove that the host is off."""

    def __init__(self, message: str, end: AttemptEnd = "failed") -> None:
        super().__init__(message)
        self.end: AttemptEnd = end


class _Confirmed(Struct, frozen=True):
    kind: ProofKind
    evidence: str


class Fencer:
    """One fencing of one host; `seconds` is what each level may take."""

    def __init__(
        self,
        asker: Asker,
        words: LastWords,
        seconds: float,
        attempts: AttemptLog,
        stop: threading.Event,
        stopped: Stopped,
    ) -> None:
        self._asker = asker
        self._words = words
        self._seconds = seconds
        self._attempts = attempts
        self._stop = stop
        self._stopped = stopped

    def fence(self, host: Host, incident: str) -> FenceProof:
        """Try every level; raises FencingFailed with each one's reason, or FencingStopped."""
        reasons = []
        for level in levels_of(host):
            self._go_on(level)
            attempt = self._attempts.began(level.number, level.agent)
            try:
                confirmed = self._try(level)
            except FencingStopped as error:
                self._attempts.ended(attempt, "cancelled", error.message)
                raise
            except _LevelFailed as failure:
                self._attempts.ended(attempt, failure.end, str(failure))
                reasons.append(f"{level.text}: {failure}")
                continue
            self._attempts.ended(attempt, "confirmed", confirmed.evidence)
            now = self._asker.clock.now()
            return FenceProof(host.name, incident, confirmed.kind, now, confirmed.evidence, level.agent)
        raise FencingFailed(
            f"Host/{host.name} could not be switched off: {'; '.join(reasons) or 'it has no fence device'}",
            hint=f"see to it that the host is off, then: reconciler fence confirm {host.name} --reason TEXT",
        )

    def _try(self, level: Level) -> _Confirmed:
        deadline = self._asker.clock.monotonic() + self._seconds
        if not self._words.take_on(level) and self._power(level, deadline) == "off":
            return _Confirmed("found-off", f"{level.text} says that the power is off already")
        self._attempts.before_off()
        self._switch_off(level, deadline)
        self._confirm(level, min(deadline, self._asker.clock.monotonic() + _SETTLING))
        return _Confirmed("fenced", f"{level.text} switched it off and confirms that the power is off")

    def _power(self, level: Level, deadline: float) -> Power:
        answer = self._asker.status(level, deadline, self._stopped)
        self._go_on(level)
        if answer.power == "unknown":
            end: AttemptEnd = "timed-out" if answer.ended == "timed-out" else "failed"
            raise _LevelFailed(f"the power status is not known: {answer.message}", end)
        return answer.power

    def _switch_off(self, level: Level, deadline: float) -> None:
        try:
            answer = self._asker.ask(level, "off", deadline, self._stopped)
        except FencingError as error:
            raise _LevelFailed(level.without_place(error)) from error
        self._go_on(level)
        if answer.ended == "timed-out":
            # Whether power was cut is not known; another try asks first and finds out.
            raise _LevelFailed(f"switching off: {answer.message}", "timed-out")
        if not answer.succeeded:
            raise _LevelFailed(f"switching off failed: {answer.message}")

    def _confirm(self, level: Level, deadline: float) -> None:
        """Ask until the device says `off`: what an agent reports of its own doing is no proof."""
        while True:
            answer = self._asker.status(level, deadline, self._stopped)
            self._go_on(level)
            if answer.power == "off":
                return
            if self._asker.clock.monotonic() + _ASK_AGAIN >= deadline:
                break
            self._asker.clock.wait(self._stop, _ASK_AGAIN)
        if answer.power == "on":
            raise _LevelFailed("it reported that it switched off, and still says that the power is on")
        end: AttemptEnd = "timed-out" if answer.ended == "timed-out" else "failed"
        raise _LevelFailed(f"it reported that it switched off, and does not confirm it: {answer.message}", end)

    def _go_on(self, level: Level) -> None:
        if self._stopped():
            raise FencingStopped(f"Host/{level.host}: fencing was called off at {level.text}")

"""The fence devices of the fleet: real agents behind `PowerControl`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.fencing.advice import advice
from reconciler.fencing.agents import AgentRunner, Agents
from reconciler.fencing.identity import IdentityProbe, Machines
from reconciler.fencing.interface import AttemptLog
from reconciler.fencing.ipmi_guid import GuidReader
from reconciler.fencing.last_words import LastWords
from reconciler.fencing.levels import Asker, Level, LevelAnswer, levels_of
from reconciler.fencing.proof import Fencer
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceProof, FenceTest, Power
from reconciler.model.host import Host
from reconciler.model.policy import HighAvailability


class FenceDevices:
    """Implements PowerControl; safe to use from several threads.

    Each level gets `policy.fence_timeout` seconds. `close` ends every agent that is under way, and what is asked
    afterwards is `unknown` or raises FencingStopped.
    """

    def __init__(
        self,
        policy: HighAvailability,
        clock: Clock,
        *,
        credentials: Credentials | None = None,
        agents: AgentRunner | None = None,
    ) -> None:
        self._clock = clock
        self._seconds = policy.fence_timeout
        self._asker = Asker(agents or Agents(policy, clock), credentials or Credentials(), clock)
        self._identity = IdentityProbe(self._asker, GuidReader(clock) if agents is None else None)
        self._words = LastWords(clock)
        self._closed = threading.Event()

    def power(self, host: Host) -> Power:
        for level in levels_of(host):
            answer = self.ask(level)
            if answer.power != "unknown":
                return answer.power
        return "unknown"

    def ask(self, level: Level, seconds: float | None = None) -> LevelAnswer:
        """The power status by one device, with the reason where it is not known. Never raises."""
        asked_at = self._clock.monotonic()
        answer = self._asker.power(level, self._deadline(seconds), self._closed.is_set)
        self._words.note(level, asked_at, is_on=answer.power == "on")
        return replace(answer, hint=advice(level)) if answer.is_failure else answer

    def fence(self, host: Host, incident: str, attempts: AttemptLog, stop: threading.Event) -> FenceProof:
        def stopped() -> bool:
            return stop.is_set() or self._closed.is_set()

        return Fencer(self._asker, self._words, self._seconds, attempts, stop, stopped).fence(host, incident)

    def test(self, host: Host, *, identity: str | None, others: Mapping[str, str] = MappingProxyType({})) -> FenceTest:
        machines = Machines(identity, others)
        results = [self._test_level(host, level, machines) for level in levels_of(host)]
        return FenceTest(
            host=host.name,
            at=self._clock.now(),
            passed=bool(results) and all(passed for passed, _ in results),
            devices=devices_hash(host),
            message="; ".join(text for _, text in results) or "it has no fence device",
        )

    def close(self) -> None:
        """End what is under way; returns at once."""
        self._closed.set()

    def _test_level(self, host: Host, level: Level, machines: Machines) -> tuple[bool, str]:
        answer = self.ask(level)
        if answer.power == "unknown":
            hint = f"; {answer.hint}" if answer.hint else ""
            return False, f"{level.text}: no power status: {answer.message}{hint}"
        identity = self._identity.check(host, level, machines, self._deadline(), self._closed.is_set)
        return identity.same is not False, f"{level.text}: power is {answer.power}; {identity.text}"

    def _deadline(self, seconds: float | None = None) -> float:
        return self._clock.monotonic() + (self._seconds if seconds is None else seconds)

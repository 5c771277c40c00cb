"""One host's fence devices: what they say now, and what the ledger knows of them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from reconciler.fencing.levels import Level, LevelAnswer
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import AttemptEnd, FenceAttempt, FenceProof, FenceTest, Incident
from reconciler.model.host import Host
from reconciler.model.ledger import LedgerView

_TELLING: Final[frozenset[AttemptEnd]] = frozenset({"confirmed", "failed", "timed-out"})
"""Ends of attempts that say something of the device."""


class HostDevices(Struct, frozen=True):
    """One host: what its devices say now, and what the ledger knows."""

    host: str
    state: str
    """As the controller last judged it; empty where none watches hosts."""
    answers: tuple[LevelAnswer, ...]
    test: FenceTest | None
    changed: bool
    """Whether the devices are others than those of the test."""
    incident: Incident | None
    proof: FenceProof | None
    attempts: tuple[FenceAttempt, ...]
    held: bool = False
    """Whether it is paused, or the whole fleet is: it is not fenced then."""

    @classmethod
    def of(
        cls, host: Host, answers: tuple[LevelAnswer, ...], view: LedgerView, attempts: tuple[FenceAttempt, ...]
    ) -> HostDevices:
        """Put together what was asked and what is on record."""
        test, health = view.fence_tests.get(host.name), view.health.get(host.name)
        return cls(
            host=host.name,
            state=health.state if health else "",
            answers=answers,
            test=test,
            changed=test is not None and test.devices != devices_hash(host),
            incident=view.incidents.get(host.name),
            proof=view.proofs.get(host.name),
            attempts=attempts,
            held=host.metadata.paused or not view.paused.isdisjoint({"fleet", f"Host/{host.name}"}),
        )

    @property
    def armed(self) -> bool:
        """Whether the host would be fenced where it is lost."""
        return bool(self.answers) and self.test is not None and self.test.passed and not self.changed

    @property
    def well(self) -> bool:
        """Whether nothing is wanting; a host without devices wants none."""
        return not self.answers or (self.armed and all(self._is_well(answer) for answer in self.answers))

    def last_failure(self, level: Level) -> FenceAttempt | None:
        """The attempt by which the level last failed to switch the host off, if it has not succeeded since."""
        for attempt in self.attempts:
            if (attempt.level, attempt.agent) == (level.number, level.agent) and attempt.end in _TELLING:
                return attempt if attempt.end != "confirmed" else None
        return None

    def _is_well(self, answer: LevelAnswer) -> bool:
        failure = self.last_failure(answer.level)
        tested = failure is None or (self.test is not None and self.test.at > failure.began)
        return tested and answer.power != "unknown"

    def why_not_armed(self) -> str:
        """What is wanting, for people; empty where nothing is."""
        if self.test is None:
            return "never tested"
        if self.changed:
            return "devices changed since their test"
        if self.test.passed:
            return ""
        is_told = any(answer.message and answer.message in self.test.message for answer in self.answers)
        return "the test failed" if is_told else f"the test failed: {self.test.message}"

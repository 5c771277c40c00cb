"""Time that surely passed: a clock that is set to another day makes nothing older than it is."""

from __future__ import annotations

from msgspec import Struct


class Instant(Struct, frozen=True):
    """Now, by all clocks that there are. Seconds."""

    wall: float
    monotonic: float
    boot: str
    """Of which start of which machine `monotonic` counts; empty if that is not known."""


class CountedTime(Struct, frozen=True):
    """How much time controllers have seen pass, up to an instant at which one looked."""

    seconds: float
    looked: Instant

    def at(self, now: Instant) -> CountedTime:
        """What passed since counts as far as both clocks agree on it; across a restart of the machine nothing does.

        So what is counted is never more than the time that really passed, whoever set which clock.
        """
        passed = 0.0
        if now.boot and now.boot == self.looked.boot:
            passed = min(now.wall - self.looked.wall, now.monotonic - self.looked.monotonic)
        return CountedTime(self.seconds + max(0.0, passed), now)

"""Power is cut only where that is safe to decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.simulator.invariants.promise import Promise, Scene, answers

_UNDER_WAY: Final = 10.0
"""Seconds that cutting the power may take: a host that came back meanwhile could not be spared."""
_NOTICED: Final = 4.0
"""Seconds after which a controller that watches must have noticed."""
_SMALL_FLEET: Final = 3


class BrakesHeld(Promise):
    """Where many hosts are silent at once the fault is likely ours, and fencing them all would be the disaster."""

    name = "brakes-held"
    sentence = "no host that answers is fenced, none in the quiet period, and none where too many are bad at once"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._bad_since: dict[str, float] = {}
        self._was_bad_at: dict[str, float] = {}

    def tick(self) -> Iterator[str]:
        now = self.scene.world.clock.monotonic()
        for name, host in self.scene.world.hosts.items():
            if answers(host):
                self._bad_since.pop(name, None)
            else:
                self._was_bad_at[name] = now
                self._bad_since.setdefault(name, now)
        yield from ()

    def fenced(self, host: str) -> Iterator[str]:
        now, policy = self.scene.world.clock.monotonic(), self.scene.policy.ha
        if now - self.scene.begun() < policy.quiet_period:
            yield f"Host/{host} is fenced {now - self.scene.begun():.0f} s after the controller's start"
        if host not in self._bad_since and now - self._was_bad_at.get(host, float("-inf")) > _UNDER_WAY:
            yield f"Host/{host} is fenced although it answers"

    def fencing_begins(self, host: str) -> Iterator[str]:
        now = self.scene.world.clock.monotonic()
        wishes = self.scene.wishes.now
        counted = [name for name, spec in wishes.hosts.items() if spec.spec.state != "maintenance"] if wishes else []
        bad = [name for name in counted if now - self._bad_since.get(name, now) > _NOTICED]
        share = self.scene.policy.ha.max_bad_share
        allowed = len(bad) <= 1 if len(counted) <= _SMALL_FLEET else len(bad) < share * len(counted)
        if not allowed:
            yield f"Host/{host} is fenced while {len(bad)} of {len(counted)} hosts are bad: {', '.join(sorted(bad))}"

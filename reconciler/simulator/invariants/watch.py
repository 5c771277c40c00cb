"""All promises together, asked at every tick."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from reconciler.daemon.view import View
from reconciler.hypervisor.simulated_world import MutatingCall
from reconciler.simulator.invariants.brakes import BrakesHeld
from reconciler.simulator.invariants.copies import OneCopy, ProofFirst, WantedStays
from reconciler.simulator.invariants.data import AcceptedDeletion, SoundDisks, UnmanagedUntouched
from reconciler.simulator.invariants.order import CapacityKept, EmptyAtRest, LockHeld
from reconciler.simulator.invariants.promise import Promise, Scene

PROMISES: tuple[type[Promise], ...] = (
    OneCopy,
    ProofFirst,
    AcceptedDeletion,
    WantedStays,
    SoundDisks,
    UnmanagedUntouched,
    LockHeld,
    BrakesHeld,
    CapacityKept,
    EmptyAtRest,
)


class Violation(Struct, frozen=True):
    """A promise that was broken `at` simulated seconds, and by what."""

    at: float
    promise: str
    sentence: str
    detail: str

    def __str__(self) -> str:
        return f"{self.at:.1f} s: {self.promise} ({self.sentence}): {self.detail}"


class PromiseWatch:
    """Asks every promise, and keeps each violation once."""

    def __init__(self, scene: Scene, on_violation: Callable[[Violation], None]) -> None:
        self._clock = scene.world.clock
        self._promises = tuple(promise(scene) for promise in PROMISES)
        self._on_violation = on_violation
        self._known: set[tuple[str, str]] = set()
        self.violations: list[Violation] = []

    def before(self, call: MutatingCall) -> None:
        self._take((promise, promise.before(call)) for promise in self._promises)

    def after(self, call: MutatingCall) -> None:
        self._take((promise, promise.after(call)) for promise in self._promises)
        self.tick()

    def happened(self) -> None:
        for promise in self._promises:
            promise.happened()
        self.tick()

    def tick(self) -> None:
        self._take((promise, promise.tick()) for promise in self._promises)

    def fencing_begins(self, host: str) -> None:
        self._take((promise, promise.fencing_begins(host)) for promise in self._promises)

    def ordered_off(self, host: str) -> None:
        """A fence device is told to cut the power of `host`, which it does some seconds later."""
        self._take((promise, promise.ordered_off(host)) for promise in self._promises)

    def fenced(self, host: str) -> None:
        self._take((promise, promise.fenced(host)) for promise in self._promises)

    def at_rest(self, view: View, waiting: frozenset[str]) -> None:
        self._take((promise, promise.at_rest(view, waiting)) for promise in self._promises)

    def _take(self, found: Iterable[tuple[Promise, Iterable[str]]]) -> None:
        for promise, details in found:
            for detail in details:
                if (promise.name, detail) not in self._known:
                    self._known.add((promise.name, detail))
                    violation = Violation(self._clock.monotonic(), promise.name, promise.sentence, detail)
                    self.violations.append(violation)
                    self._on_violation(violation)

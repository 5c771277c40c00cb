"""Killed before, during or after any call or ledger write, the next controller ends where the first would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_world import MutatingCall, SimulatedCrashError
from reconciler.model.desired_state import DesiredState
from tests.unit.executor.bench import FakeImages
from tests.unit.executor.small_fleet import Controller, desired_state, end_state, new_fleet, vm

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # a tracer makes it three times as long, and adds no line

SEEDED: Final = {"userData": "#cloud-config\npassword: x\n"}
CREATED: Final = desired_state(
    "g1",
    vm("web", cloudInit=SEEDED, deletionPolicy="delete"),
    vm("db", pool="local", updatePolicy="restart"),
    vm("old"),
    vm("full", disks=[{"name": "root", "image": "debian", "pool": "vms", "size": "10GiB", "clone": "full"}]),
)
CHANGED: Final = desired_state(
    "g2",
    vm("db", pool="local", updatePolicy="restart", memory="1GiB"),
    vm("full", disks=[{"name": "root", "image": "debian", "pool": "vms", "size": "20GiB", "clone": "full"}]),
    vm("new", pool="local", memory="3GiB", cloudInit=SEEDED),
)


@dataclass
class Killer:
    """Kills the controller at the n-th instant; counts instants where `at` is None."""

    at: int | None = None
    seen: int = 0

    def __call__(self, *_where: object) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise SimulatedCrashError


@dataclass
class ReplyLoser:
    """Has the reply to the n-th mutating call (from 0) lost on its way."""

    fleet: SimulatedFleet
    at: int
    seen: int = 0

    def __call__(self, *where: object) -> None:
        call, phase = (*where, None)[:2]
        if isinstance(call, MutatingCall) and phase == "before":
            if self.seen == self.at:
                self.fleet.lose_reply(call.host, call.method)
            self.seen += 1


class Story:
    """A fleet that some controllers work on, one after the other."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = FakeClock()
        self.fleet: SimulatedFleet = new_fleet(self.clock)
        self.images = FakeImages()
        self.state_dir = state_dir

    def live(self, desired: DesiredState, killer: Callable[..., None] | None = None) -> None:
        """One controller's life: until all is done, or until it is killed."""
        controller = Controller(self.fleet, self.clock, self.state_dir, self.images)
        self.fleet.on_mutation(killer)
        controller.ledger.hook = killer
        try:
            controller.converge(desired)
        except SimulatedCrashError:
            pass  # nothing of a killed process runs on
        finally:
            self.fleet.on_mutation(None)
            controller.ledger.hook = None
            controller.ledger.close()

    def converge(self, desired: DesiredState) -> dict[str, Any]:
        self.live(desired)
        return end_state(self.fleet)


def story_before(desired: DesiredState, state_dir: Path) -> Story:
    story = Story(state_dir)
    if desired is CHANGED:
        story.live(CREATED)
    return story


def instants(desired: DesiredState, state_dir: Path) -> tuple[int, dict[str, Any]]:
    """How many instants there are to be killed at, and where it all ends."""
    story, counter = story_before(desired, state_dir), Killer()
    story.live(desired, counter)
    return counter.seen, end_state(story.fleet)


def state_dirs(tmp_path: Path) -> Iterator[Path]:
    number = 0
    while True:
        number += 1
        yield tmp_path / str(number)


@pytest.mark.parametrize("desired", [CREATED, CHANGED], ids=["create", "change"])
def test_killed_at_any_instant_ends_in_the_same_state(desired: DesiredState, tmp_path: Path) -> None:
    """No orphan, no duplicate, nothing half-made, and then an empty plan."""
    folders = state_dirs(tmp_path)
    count, expected = instants(desired, next(folders))
    assert count > 40

    for instant in range(1, count + 1):
        story = story_before(desired, next(folders))
        story.live(desired, Killer(instant))

        assert story.converge(desired) == expected, f"killed at instant {instant} of {count}"


@pytest.mark.parametrize("desired", [CREATED, CHANGED], ids=["create", "change"])
def test_any_lost_reply_ends_in_the_same_state(desired: DesiredState, tmp_path: Path) -> None:
    folders = state_dirs(tmp_path)
    reference = story_before(desired, next(folders))
    begun = len(reference.fleet.calls)
    expected = reference.converge(desired)
    calls = reference.fleet.calls[begun:]

    for lost in range(len(calls)):
        story = story_before(desired, next(folders))
        story.live(desired, ReplyLoser(story.fleet, lost))

        assert story.converge(desired) == expected, f"lost the reply to {calls[lost]}"


def test_lost_ledger_is_rebuilt_and_nothing_deleted(tmp_path: Path) -> None:
    story = Story(tmp_path / "first")
    expected = story.converge(CREATED)
    calls = story.fleet.calls

    story.state_dir = tmp_path / "second"

    assert story.converge(CREATED) == expected
    assert story.fleet.calls == calls

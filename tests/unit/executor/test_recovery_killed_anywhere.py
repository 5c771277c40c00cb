"""Killed at any instant of a recovery, or while a host that came back is cleaned, the next controller ends the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.health import FenceProof, HostHealth, HostState, Incident
from tests.unit.executor.small_fleet import desired_state, end_state, vm
from tests.unit.executor.test_killed_anywhere import SEEDED, Killer, Story, state_dirs

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # a tracer makes it three times as long, and adds no line

_LOCAL: Final[dict[str, Any]] = {"pool": "local"}
_ON_H1: Final[dict[str, Any]] = {"placement": {"hosts": ["h1"]}}


def specs(generation: str, **placement: Any) -> DesiredState:
    return desired_state(
        generation,
        vm("web", cloudInit=SEEDED, **placement),
        vm("batch", runStrategy="RerunOnFailure", **placement),
        vm("cache", **_LOCAL, ha={"onHostLoss": "rebuild"}, **placement),
        vm("db", **_LOCAL, **placement),
    )


PINNED: Final = specs("g1", **_ON_H1)
FREE: Final = specs("g2")


def note(story: Story, state: HostState, *, back: bool = False) -> None:
    """What the watching part of a controller would write down."""
    now = story.clock.now()
    with Ledger(story.state_dir) as ledger:
        ledger.record_health(HostHealth("h1", state, "rule", f"h1 is {state}", now, None))
        if back:
            ledger.note_return("h1", now)
        else:
            ledger.open_incident(Incident("i-1", "h1", now, None))
            ledger.record_proof(FenceProof("h1", "i-1", "human", now, "it is unplugged", "ann"))


def lost(state_dir: Path) -> Story:
    """Four VMs ran on h1, which is off, and somebody is sure of it."""
    story = Story(state_dir)
    story.live(PINNED)
    story.live(FREE)
    story.fleet.power_off("h1")
    note(story, "fenced")
    return story


def returned(state_dir: Path) -> Story:
    """All that could be was recovered on h2; then h1 comes back, with all that was defined there."""
    story = lost(state_dir)
    story.live(FREE)
    story.fleet.power_on("h1")
    note(story, "returning", back=True)
    return story


def domains(story: Story) -> dict[str, list[str]]:
    return {
        name: sorted(entry.config.name for entry in host.domains.values())
        for name, host in story.fleet.world.hosts.items()
    }


def test_what_can_run_elsewhere_does_and_the_rest_waits(tmp_path: Path) -> None:
    story = lost(tmp_path)

    story.live(FREE)

    assert domains(story)["h2"] == ["batch", "cache", "web"]


def test_a_host_that_is_back_is_left_with_what_waited_for_it(tmp_path: Path) -> None:
    story = returned(tmp_path)

    story.live(FREE)

    assert domains(story) == {"h1": ["db"], "h2": ["batch", "cache", "web"]}


@pytest.mark.parametrize("begun", [lost, returned])
def test_killed_at_any_instant_it_ends_in_the_same_state(begun: Any, tmp_path: Path) -> None:
    folders = state_dirs(tmp_path)
    reference, counter = begun(next(folders)), Killer()
    reference.live(FREE, counter)
    expected = end_state(reference.fleet)
    assert counter.seen > 10

    for instant in range(1, counter.seen + 1):
        story = begun(next(folders))
        story.live(FREE, Killer(instant))

        assert story.converge(FREE) == expected, f"killed at instant {instant} of {counter.seen}"

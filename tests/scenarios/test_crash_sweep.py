"""Killed before or after any call or ledger write, or its reply lost, a controller ends where it would have anyway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from reconciler.hypervisor.simulated_world import MutatingCall
from reconciler.simulator.play import Played, play
from reconciler.simulator.scenario import Scenario, load_scenario
from reconciler.simulator.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.hypervisor.simulated_world import Phase
    from reconciler.simulator.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # a tracer makes it three times as long, and adds no line

SWEEPS: Final = Path(__file__).parent / "_sweeps"
SCENARIOS: Final = tuple(sorted(folder.name for folder in SWEEPS.iterdir() if folder.is_dir()))


@dataclass
class Instants:
    """Counts instants at which something could go wrong, and does `harm` at the one that is `chosen`."""

    chosen: int | None = None
    harm: Callable[[], None] | None = None
    seen: int = 0

    def pass_by(self) -> None:
        self.seen += 1
        if self.seen == self.chosen and self.harm is not None:
            self.harm()


def around_calls(stage: Stage, instants: Instants) -> None:
    """Instants before, during and after each call that changes a host, and around each write of the ledger."""
    watched = stage.fleet.world.on_mutation
    instants.harm = stage.kill_controller

    def passing(call: MutatingCall, phase: Phase) -> None:
        if watched is not None and phase == "after":
            watched(call, phase)
        instants.pass_by()
        if watched is not None and phase != "after":
            watched(call, phase)

    stage.fleet.on_mutation(passing)
    stage.ledger.on_write = lambda _when: instants.pass_by()


def before_calls(stage: Stage, instants: Instants, harm: Callable[[Stage, MutatingCall], None]) -> None:
    """Instants before each call that changes a host."""
    watched = stage.fleet.world.on_mutation

    def passing(call: MutatingCall, phase: Phase) -> None:
        if watched is not None:
            watched(call, phase)
        if phase == "before":
            instants.harm = lambda: harm(stage, call)
            instants.pass_by()

    stage.fleet.on_mutation(passing)


def scenario(name: str) -> Scenario:
    return load_scenario(SWEEPS / name, VERBS)


def end_of(played: Played) -> str:
    assert played.violations == ()
    return played.end_state


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_any_instant_it_ends_the_same(name: str) -> None:
    counter = Instants()
    expected = end_of(play(scenario(name), prepare=lambda stage: around_calls(stage, counter)))
    assert counter.seen > 50

    for instant in range(1, counter.seen + 1):
        chosen = Instants(instant)
        played = play(scenario(name), prepare=lambda stage, chosen=chosen: around_calls(stage, chosen))

        assert end_of(played) == expected, f"killed at instant {instant} of {counter.seen}\n{played.log}"


def lose_reply(stage: Stage, call: MutatingCall) -> None:
    stage.fleet.lose_reply(call.host, call.method)


def freeze_reads(stage: Stage, call: MutatingCall) -> None:
    """Its host tells for ten seconds what was true just before the call."""
    stage.fleet.freeze_reads(call.host)
    stage.clock.at(stage.clock.monotonic() + 10.0, lambda: stage.fleet.thaw_reads(call.host))


@pytest.mark.parametrize("harm", [lose_reply, freeze_reads])
@pytest.mark.parametrize("name", SCENARIOS)
def test_misled_at_any_call_it_ends_the_same(name: str, harm: Callable[[Stage, MutatingCall], None]) -> None:
    counter = Instants()
    expected = end_of(play(scenario(name), prepare=lambda stage: before_calls(stage, counter, lambda *_: None)))

    for instant in range(1, counter.seen + 1):
        chosen = Instants(instant)
        played = play(scenario(name), prepare=lambda stage, chosen=chosen: before_calls(stage, chosen, harm))

        assert end_of(played) == expected, f"{harm.__name__} at call {instant} of {counter.seen}\n{played.log}"

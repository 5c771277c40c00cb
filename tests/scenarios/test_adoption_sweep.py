"""Killed at any instant of taking over what people made: it is taken over in the end, once, and no guest notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from reconciler.simulator.play import play
from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.verbs import VERBS
from tests.scenarios.test_crash_sweep import Instants, around_calls

if TYPE_CHECKING:
    from reconciler.hypervisor.simulated_world import MutatingCall, Phase
    from reconciler.simulator.stage import Stage

pytestmark = pytest.mark.no_cover

FOLDER: Final = Path(__file__).parent / "adopted-as-they-are"


def _played(instants: Instants) -> tuple[str, set[str]]:
    """How it ends, and the methods that were called on hosts."""
    methods: set[str] = set()

    def prepare(stage: Stage) -> None:
        around_calls(stage, instants)
        watched = stage.fleet.world.on_mutation

        def noting(call: MutatingCall, phase: Phase) -> None:
            methods.add(call.method)
            if watched is not None:
                watched(call, phase)

        stage.fleet.on_mutation(noting)

    played = play(load_scenario(FOLDER, VERBS), prepare=prepare)
    assert played.violations == (), played.log
    return played.end_state, methods


def test_killed_at_any_instant_each_is_taken_over_and_nothing_but_its_mark_is_written() -> None:
    counter = Instants()
    expected, methods = _played(counter)
    assert methods == {"define_domain"}
    assert counter.seen > 20

    ends = [_played(Instants(instant)) for instant in range(1, counter.seen + 1)]

    assert ends == [(expected, {"define_domain"})] * counter.seen

"""A scenario from its beginning to its end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.simulator.end_state import end_state
from reconciler.simulator.event_clock import EventClock
from reconciler.simulator.invariants.watch import Violation
from reconciler.simulator.scenario import Scenario
from reconciler.simulator.stage import Stage
from reconciler.simulator.timeline import Entry, Timeline
from reconciler.simulator.verdict import verdict

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a fresh folder of its own below it


class Played(Struct, frozen=True):
    """What came of a scenario."""

    log: str
    end_state: str
    violations: tuple[Violation, ...]
    verdict: str = ""
    """What it came to, in a few lines."""


def play(
    scenario: Scenario,
    tell: Callable[[Entry], None] | None = None,
    *,
    prepare: Callable[[Stage], None] | None = None,
) -> Played:
    """Play it; `tell` is called with each entry as it happens, `prepare` with the stage before anything does.

    Raises ScenarioError for files that are missing.
    """
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        root = Path(folder)
        clock = EventClock()
        timeline = Timeline(clock, {f"{root}/": "", str(root): ""}, tell)
        stage = Stage(scenario, root, timeline, clock)
        if prepare is not None:
            prepare(stage)
        stage.play()
        return Played(timeline.text(), end_state(stage), tuple(stage.promises.violations), verdict(stage))

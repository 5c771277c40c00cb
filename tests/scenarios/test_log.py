"""What a service logs while a host is lost and its VMs are run elsewhere, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from reconciler.simulator.play import play
from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.verbs import VERBS
from tests.support.goldens import compare_with

FOLDER = Path(__file__).parent
NAME = "power-cut-recovered"


@pytest.fixture
def logged() -> list[dict[str, object]]:
    """The scenario's log to the daemon's end; passes are numbered as they come."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, capture], wrapper_class=structlog.stdlib.BoundLogger
    )
    try:
        play(load_scenario(FOLDER / NAME, VERBS))
    finally:
        structlog.configure(**before)
    passes: dict[object, str] = {}
    entries = [dict(entry) for entry in capture.entries]
    for entry in entries:
        if "pass_id" in entry:
            entry["pass_id"] = passes.setdefault(entry["pass_id"], f"pass {len(passes) + 1}")
    return entries[: [entry["event"] for entry in entries].index("daemon.stopped") + 1]


def test_a_log_tells_of_a_recovery_in_one_line_a_decision(
    logged: list[dict[str, object]], request: pytest.FixtureRequest
) -> None:
    lines = [json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in logged]

    update = bool(request.config.getoption("--update-golden"))
    compare_with(FOLDER / "_logs" / f"{NAME}.jsonl", "\n".join(lines) + "\n", update=update)


def test_all_that_a_pass_decides_and_does_has_its_id(logged: list[dict[str, object]]) -> None:
    without = {entry["event"] for entry in logged if "pass_id" not in entry}

    assert without == {"daemon.started", "daemon.stopping", "daemon.stopped"}

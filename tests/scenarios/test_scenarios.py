"""Each folder here is a scenario: played, it goes as its golden files say, and no promise is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.simulator.play import play
from reconciler.simulator.scenario import load_scenario
from reconciler.simulator.verbs import VERBS
from tests.support.goldens import compare_with

FOLDER = Path(__file__).parent


def scenarios() -> list[object]:
    """One a folder; a file EXPECTED_TO_FAIL in it holds the reason why it does."""
    found = []
    for file in sorted(FOLDER.glob("*/events.yaml")):
        reason = file.with_name("EXPECTED_TO_FAIL")
        marks = [pytest.mark.xfail(reason=reason.read_text().strip())] if reason.exists() else []
        found.append(pytest.param(file.parent, id=file.parent.name, marks=marks))
    return found


@pytest.mark.slow  # three hundred of them
@pytest.mark.no_cover  # a tracer makes it three times as long, and adds few lines
@pytest.mark.parametrize("folder", scenarios())
def test_a_scenario_goes_as_written_and_keeps_every_promise(folder: Path, request: pytest.FixtureRequest) -> None:
    update = bool(request.config.getoption("--update-golden"))

    played = play(load_scenario(folder, VERBS))

    assert played.violations == ()
    compare_with(folder / "log.expect", played.log, update=update)
    compare_with(folder / "end_state.expect", played.end_state, update=update)


def test_every_scenario_says_what_it_shows() -> None:
    silent = [file.parent.name for file in FOLDER.glob("*/events.yaml") if not file.with_name("README.md").exists()]

    assert silent == []


def test_a_scenario_played_twice_goes_the_same_way() -> None:
    scenario = load_scenario(FOLDER / "crash-loop", VERBS)

    assert play(scenario) == play(scenario)


def test_the_documentation_has_every_word() -> None:
    text = (FOLDER.parent.parent / "docs" / "SIMULATOR.md").read_text().replace("\\|", "|")

    assert [verb.usage for verb in VERBS.values() if f"`{verb.usage}`" not in text] == []

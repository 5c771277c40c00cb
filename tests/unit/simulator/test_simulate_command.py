"""`reconciler simulate` plays scenarios and specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.invocation import Invocation
from reconciler.cli.simulate import run
from reconciler.errors import UsageError

ROOT = Path(__file__).parents[3]
NOTHING = {"down": (), "event": (), "replay": None, "words": False}


def test_a_scenario_is_told_as_its_golden_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ROOT / "tests" / "scenarios" / "power-cut-recovered"

    code = run(Invocation(), directory=folder, **NOTHING)

    assert code == 0
    told = (folder / "log.expect").read_text() + "\n" + (folder / "end_state.expect").read_text()
    verdict, _, rest = capsys.readouterr().out.partition("\n\n")
    assert rest == told
    assert verdict.startswith("✔ every promise was kept")
    assert "after power-cut h1" in verdict
    assert "no promise" in verdict


def test_one_s_own_specs_are_played_on_a_fleet_that_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(Invocation(), directory=ROOT / "specs", **{**NOTHING, "down": ("h3@10s",)})

    said = capsys.readouterr().out
    assert code == 0
    assert said.partition("\n\n")[2].splitlines()[0].split() == ["10.0", "s", "event", "power-cut", "h3"]
    assert "VirtualMachine/web-1" in said


@pytest.mark.parametrize("down", ["h9", "h3@soon"])
def test_a_host_or_time_that_is_not_understood_is_refused(down: str) -> None:
    with pytest.raises(UsageError, match="such as --down"):
        run(Invocation(), directory=ROOT / "specs", **{**NOTHING, "down": (down,)})


def test_what_happens_in_a_scenario_is_written_into_it() -> None:
    folder = ROOT / "tests" / "scenarios" / "power-cut-recovered"

    with pytest.raises(UsageError, match="is a scenario"):
        run(Invocation(), directory=folder, **{**NOTHING, "down": ("h1",)})

"""What is told while actions run."""

from __future__ import annotations

import json
import re

import pytest
from msgspec.structs import replace

from reconciler.cli.progress import LineProgress, progress_for
from reconciler.cli.progress_bars import BarProgress
from reconciler.cli.progress_events import EventProgress
from reconciler.cli.terminal import Terminal
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.model.outcome import Outcome
from tests.unit.cli.plans import EVERY_ACTION, NOW, plan

_IMAGES = {("web-3", "root"): "debian-12"}
_ACTION = next(action for action in EVERY_ACTION if action.kind == "create-volume")


def lines_of(outcome: Outcome, *, quiet: bool = False) -> list[str]:
    lines: list[str] = []
    with LineProgress(_IMAGES, Terminal(), lines.append, quiet=quiet, now=lambda: NOW) as progress:
        progress.action_started(_ACTION)
        progress.action_ended(_ACTION, outcome)
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines]


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Outcome("x", "done", seconds=0.24), "done 0.2s"),
        (Outcome("x", "failed", "the pool is full", seconds=1.0), "failed 1.0s: the pool is full"),
        (Outcome("x", "failed", "busy", transient=True), "failed 0.0s: busy (will be tried again)"),
        (Outcome("x", "refused", "somebody was quicker"), "refused: somebody was quicker"),
        (Outcome("x", "handed-back"), "handed back"),
        (Outcome("x", "skipped", "fetch failed"), "skipped: fetch failed"),
    ],
)
def test_an_action_ends_in_one_line(outcome: Outcome, end: str) -> None:
    assert lines_of(outcome) == [f"VirtualMachine/web-3 on h2: disk root 4GiB from debian-12 … {end}"]


def test_quiet_tells_only_what_went_wrong() -> None:
    assert lines_of(Outcome("x", "done"), quiet=True) == []
    assert len(lines_of(Outcome("x", "failed", "no"), quiet=True)) == 1


def test_nothing_is_animated_off_a_terminal() -> None:
    assert isinstance(progress_for(_IMAGES, Terminal(), Settings()), LineProgress)


def test_events_are_a_json_object_a_line_and_a_percent_is_told_once() -> None:
    lines: list[str] = []

    with EventProgress(lines.append, SystemClock()) as progress:
        progress.planned(plan(_ACTION))
        progress.action_started(_ACTION)
        for done in (500, 501, 1000):
            progress.action_progress(_ACTION.id, done, 1000)
        progress.action_ended(_ACTION, Outcome(_ACTION.id, "done", seconds=0.2))

    told = [json.loads(line) for line in lines]
    assert [item["event"] for item in told] == [
        "planned",
        "action-started",
        "action-progress",
        "action-progress",
        "action-ended",
    ]
    assert told[-1]["status"] == "done"


def test_bars_tell_of_each_action_that_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with BarProgress(_IMAGES, Terminal(interactive=True)) as progress:
        progress.planned(plan(_ACTION))
        progress.action_started(_ACTION)
        progress.action_progress(_ACTION.id, 5 << 20, 10 << 20)
        progress.action_ended(_ACTION, Outcome(_ACTION.id, "done", seconds=0.2))

    captured = capsys.readouterr()
    assert "disk root 4GiB from debian-12 … done 0.2s" in " ".join(captured.err.split())
    assert captured.out == ""


def test_a_later_plan_is_told_with_the_specs_that_it_is_made_of() -> None:
    lines: list[str] = []

    with LineProgress(_IMAGES, Terminal(), lines.append, now=lambda: NOW) as progress:
        progress.planned(plan(_ACTION))
        progress.planned(replace(plan(_ACTION), generation="content-2da0930"))

    assert lines == ["1 action to do", "the specs have changed, they are content-2da0930 now: 1 action to do"]

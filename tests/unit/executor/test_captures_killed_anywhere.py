"""Killed at any instant of a capture, the next life ends with one whole version, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.hypervisor.simulated_world import SimulatedCrashError
from tests.unit.executor.test_captures import DATA, Story
from tests.unit.executor.test_killed_anywhere import Killer, ReplyLoser, state_dirs

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # a tracer makes it three times as long, and adds no line

KINDS: Final[dict[str, dict[str, Any]]] = {"as it is": {}, "compressed": {"compression": "zstd"}}


def _lived(story: Story, hook: Callable[..., None] | None, **content: Any) -> None:
    """One life of the controller: until the version is there, or until it is killed."""
    story.fleet.on_mutation(hook)
    story.controller.ledger.hook = hook
    with contextlib.suppress(SimulatedCrashError):
        story.controller.converge(story.desired(**content))
    story.fleet.on_mutation(None)
    story.controller.ledger.hook = None
    story.controller.ledger.close()


def _check_end(story: Story, what: str) -> None:
    (version,) = story.versions()
    assert story.content(version, "root").endswith(b"vda" + DATA), what
    assert story.content(version, "data").endswith(b"vdb" + DATA), what
    assert len(story.files()) == 3, what
    assert story.controller.ledger.view().captures == {}, what
    assert not story.fleet.people(story.host).entry("web").frozen, what


@pytest.mark.parametrize(("kind", "is_ledger_lost"), [("as it is", False), ("compressed", True)])
def test_killed_at_any_instant_there_is_one_whole_version_and_nothing_else(
    kind: str, is_ledger_lost: bool, tmp_path: Path
) -> None:
    folders, counter = state_dirs(tmp_path), Killer()
    _lived(Story(next(folders)), counter, **KINDS[kind])
    assert counter.seen > 20

    for instant in range(1, counter.seen + 1):
        story = Story(next(folders))
        _lived(story, Killer(instant), **KINDS[kind])
        if is_ledger_lost:
            shutil.rmtree(story.state_dir)
            story.clock.advance(600.0)  # what goes on by itself comes to its end

        story.reborn().converge(story.desired(**KINDS[kind]))

        _check_end(story, f"killed at instant {instant} of {counter.seen}")
        story.controller.ledger.close()


@pytest.mark.parametrize("kind", KINDS)
def test_with_any_reply_lost_there_is_one_whole_version_and_nothing_else(kind: str, tmp_path: Path) -> None:
    folders = state_dirs(tmp_path)
    story = Story(next(folders))
    before = len(story.fleet.calls)
    _lived(story, None, **KINDS[kind])
    calls = story.fleet.calls[before:]

    for lost in range(len(calls)):
        story = Story(next(folders))
        _lived(story, ReplyLoser(story.fleet, lost), **KINDS[kind])

        story.reborn().converge(story.desired(**KINDS[kind]))

        _check_end(story, f"lost the reply to {calls[lost]}")
        story.controller.ledger.close()

"""A schedule over days of simulated time: whatever happens meanwhile, each instant has one capture and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.version import instant_of
from tests.unit.executor.test_captures import Story

_HOUR = 3600.0
_DAY = 24 * _HOUR
_NIGHTLY: dict[str, Any] = {"schedule": "0 2 * * *", "retention": {"last": 3}}


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """At noon, with the first version made."""
    made = Story(tmp_path)
    made.clock.advance(_DAY / 2 - made.clock.now() % _DAY + _DAY)
    made.controller.converge(made.desired(**_NIGHTLY))
    yield made
    made.controller.ledger.close()


def nights(story: Story, count: int = 1, **spec: Any) -> None:
    """Noon after noon."""
    for _ in range(count):
        story.clock.advance(_DAY)
        story.controller.converge(story.desired(**{**_NIGHTLY, **spec}))


def at_two(story: Story) -> list[bool]:
    return [instant_of(version.stamp).endswith("T02:00Z") for version in story.versions()]


def test_each_night_has_its_version_and_no_rule_keeps_the_oldest(story: Story) -> None:
    first = story.versions()[0].stamp

    nights(story, 4)

    assert at_two(story) == [True] * 3
    assert first not in {version.stamp for version in story.versions()}
    assert len(story.files()) == 9


def test_ten_nights_that_were_missed_are_made_up_for_by_one_version(story: Story) -> None:
    story.clock.advance(9 * _DAY)

    nights(story)
    story.controller.converge(story.desired(**_NIGHTLY))

    assert at_two(story) == [False, True]


def test_a_year_ahead_on_the_clock_captures_once_and_makes_no_version_old(story: Story) -> None:
    nights(story, 2)
    before = {version.stamp for version in story.versions()}

    story.clock.jump(365 * _DAY)
    story.controller.converge(story.desired(**_NIGHTLY))
    assert len({version.stamp for version in story.versions()} - before) == 1
    assert len({version.stamp for version in story.versions()} & before) == 2

    story.clock.jump(-365 * _DAY)
    nights(story, 2)

    # The one of the time to come is left alone, and counts for none of the three.
    assert len(story.versions()) == 4
    assert at_two(story) == [True] * 4


def test_a_vm_that_is_off_is_captured_as_it_is(story: Story) -> None:
    story.vms = story.vms.__class__(**{**_fields(story.vms), "vms": {"web": _halted(story)}})

    nights(story)

    assert [version.consistency for version in story.versions()] == ["quiesced", "offline"]


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _halted(story: Story) -> Any:
    web = story.vms.vms["web"]
    return web.model_copy(update={"spec": web.spec.model_copy(update={"run_strategy": "Halted"})})


def test_what_is_missed_while_its_host_is_away_is_made_up_for_once_it_is_back(story: Story) -> None:
    nights(story, 2)
    known = {version.stamp for version in story.versions()}
    story.fleet.cut_network(story.host)
    story.clock.advance(2 * _DAY)
    story.controller.step(story.desired(**{**_NIGHTLY, "retention": {"last": 1}}))
    assert {version.stamp for version in story.versions()} == known

    story.fleet.restore_network(story.host)
    nights(story, 1, retention={"last": 1})

    assert at_two(story) == [True]


def test_after_the_ledger_was_lost_nothing_is_captured_twice_and_pruning_goes_on(tmp_path: Path, story: Story) -> None:
    nights(story, 2)
    known = [version.name for version in story.versions()]
    story.controller.ledger.close()
    story.state_dir = tmp_path / "new"
    story.reborn()

    story.controller.converge(story.desired(**_NIGHTLY))
    assert [version.name for version in story.versions()] == known

    nights(story, 2)
    assert at_two(story) == [True] * 3


def test_increments_form_chains_of_which_only_whole_ones_go(story: Story) -> None:
    nights(story, 6, fullEvery=3, retention={"last": 2})

    versions = {version.stamp: version for version in story.versions()}
    parents = {version.parent for version in versions.values()} - {None}
    assert parents
    assert parents <= versions.keys()
    assert len(versions) <= 4
    kept = story.fleet.host(story.host).checkpoints(story.uuid)
    assert kept == (f"golden.{max(versions)}",)


def test_after_qemu_lost_track_of_what_changed_the_next_one_is_full(story: Story) -> None:
    nights(story, 1, fullEvery=7)
    nights(story, 1, fullEvery=7)
    assert story.versions()[-1].parent is not None
    for name in story.fleet.host(story.host).checkpoints(story.uuid):
        story.fleet.host(story.host).delete_checkpoint(story.uuid, name)

    nights(story, 1, fullEvery=7)
    lost = story.versions()[-1]
    nights(story, 1, fullEvery=7)

    assert lost.parent is None
    assert story.versions()[-1].parent == lost.stamp

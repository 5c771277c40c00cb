"""What is to go of versions, and which instants had their capture, is there after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import PreconditionFailed
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import VersionRemoval
from tests.support.versions import IMAGE, version

_FULL, _INCREMENT = version("2026-11-21T02:00Z"), version("2026-11-22T02:00Z", "2026-11-21T02:00Z")


def test_the_newest_instant_that_had_its_capture_is_there_after_reopening(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_scheduled(IMAGE, 100.0)
        ledger.note_scheduled(IMAGE, 200.0)

    with Ledger(tmp_path) as again:
        assert again.view().scheduled == {IMAGE: 200.0}


def test_a_version_whose_removal_was_begun_is_none_any_more_until_nothing_is_left_of_it(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_versions([_FULL])
        ledger.request_removal(IMAGE, _FULL.stamp, 5.0)
        ledger.begin_removal(IMAGE, _FULL.stamp, 7.0)

    with Ledger(tmp_path) as again:
        assert again.view().versions == {}
        assert again.view().removals == {VersionRemoval(IMAGE, _FULL.stamp, 7.0, _FULL)}
        again.end_removal(IMAGE, _FULL.stamp)
        assert again.view().removals == frozenset()


def test_a_removal_that_was_begun_is_begun_again_as_it_was(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_versions([_FULL])
        ledger.begin_removal(IMAGE, _FULL.stamp, 7.0)
        before = ledger.view().removals

        ledger.begin_removal(IMAGE, _FULL.stamp, 9.0)

        assert ledger.view().removals == before


def test_what_another_version_rests_on_can_not_be_removed(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_versions([_FULL, _INCREMENT])

        with pytest.raises(PreconditionFailed, match="rests on"):
            ledger.begin_removal(IMAGE, _FULL.stamp, 7.0)

        assert ledger.view().versions == {IMAGE: (_FULL, _INCREMENT)}

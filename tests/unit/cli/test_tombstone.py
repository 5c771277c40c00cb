"""`tombstone keep` and `purge`: what is kept of a removed VM is kept longer, or given up, beside a daemon too."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reconciler.ledger.store import Ledger
from reconciler.model.counted_time import Instant
from reconciler.model.tombstone import Tombstone
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession, doors

pytestmark = pytest.mark.usefixtures("_own_environment")

DAY = 86400.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Of a ledger that keeps a disk of `web`."""
    with Ledger(tmp_path / "state") as ledger:
        now = time.time()
        stone = Tombstone("web", "removed", now, now + 7 * DAY, "h1", (("vms", "f.web.root.qcow2"),))
        ledger.bury(stone, Instant(now, 0.0, "boot"))
    return tmp_path / "state"


def stone_in(state: Path) -> Tombstone:
    with Ledger(state) as ledger:
        return ledger.view().tombstones[0]


def test_it_is_kept_from_now_on_for_as_long_as_is_said(state: Path) -> None:
    result = invoke("tombstone", "keep", "web", "--for", "30d", onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 0
    assert "30 days from now" in result.stdout
    assert stone_in(state).expires_at > time.time() + 29 * DAY


def test_it_is_given_up_after_a_yes_and_what_is_lost_is_listed(state: Path) -> None:
    result = invoke("tombstone", "purge", "web", "--yes", onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 0
    assert "all data in it lost: f.web.root.qcow2 in pool vms on h1" in result.stderr
    assert stone_in(state).purged
    with Ledger(state) as ledger:
        assert [event.event for event in ledger.events("VirtualMachine/web")] == ["purged"]


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("arguments", [("keep", "wbe"), ("purge", "wbe", "--yes")])
def test_a_name_of_which_nothing_is_kept_is_refused_with_those_of_which_something_is(
    arguments: tuple[str, ...],
) -> None:
    result = invoke("tombstone", *arguments, onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 1
    assert "nothing is kept of wbe" in result.stderr
    assert "there is of web" in result.stderr


@pytest.mark.usefixtures("state")
def test_a_time_that_is_none_is_refused() -> None:
    result = invoke("tombstone", "keep", "web", "--for", "long", onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 1
    assert "'long' is not a duration" in result.stderr

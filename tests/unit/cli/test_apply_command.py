"""`reconciler apply` as it is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.model.ledger import Failure, LedgerView
from reconciler.model.outcome import Outcome
from tests.unit.cli.calling import CHANGES, EMPTY, invoke
from tests.unit.cli.plans import EVERY_ACTION, plan
from tests.unit.cli.worlds import NO_HOST, RESTART, FakeSession, look

pytestmark = pytest.mark.usefixtures("_own_environment")


# -- plan --------------------------------------------------------------------------------------------------------------


def test_apply_exits_0_once_everything_is_as_specified(specs: Path) -> None:
    result = invoke("apply", specs, "--yes", onto=FakeSession([CHANGES, CHANGES, EMPTY]))

    assert result.exit_code == 0
    assert "converged" in result.stderr
    assert "VirtualMachine/web-3 on h2: define … done 0.2s" in result.stderr


def test_apply_tries_again_at_once_what_failed_before(specs: Path) -> None:
    failure = Failure("start-domain:VirtualMachine/web-3@h2", 1, "no space", permanent=True, not_before=9e9, inputs="x")
    failed = replace(look(plan(unmet=(RESTART,))), ledger=LedgerView(failures={failure.key: failure}))
    changes = replace(CHANGES, ledger=failed.ledger)
    session = FakeSession([failed, changes, changes, EMPTY])

    result = invoke("apply", specs, "--yes", onto=session)

    assert result.exit_code == 0
    assert session.looks[0].ledger.failures == {}
    assert "VirtualMachine/web-3 on h2: define … done 0.2s" in result.stderr


def test_apply_without_anybody_to_ask_is_refused(specs: Path) -> None:
    session = FakeSession([CHANGES])

    result = invoke("apply", specs, onto=session)

    assert result.exit_code == 1
    assert "--yes" in result.stderr
    assert session.expected == []


def test_apply_exits_3_where_something_waits(specs: Path) -> None:
    waiting = look(plan(unmet=(RESTART,)))

    result = invoke("apply", specs, "--yes", onto=FakeSession([CHANGES, CHANGES, waiting]))

    assert result.exit_code == 3
    assert "waiting: restart pending" in result.stderr


def test_apply_counts_what_is_blocked_apart_from_what_waits(specs: Path) -> None:
    result = invoke("apply", specs, "--yes", onto=FakeSession([look(plan(unmet=(RESTART, NO_HOST)))]))

    assert "0 actions done, 1 blocked, 1 waiting" in result.stderr


def test_a_directory_that_is_not_there_is_no_empty_plan(tmp_path: Path) -> None:
    result = invoke("plan", tmp_path / "flet", onto=FakeSession([look(plan())]))

    assert result.exit_code == 1
    assert "flet: no such file or directory" in result.stderr


def test_apply_exits_3_where_a_host_was_not_seen(specs: Path) -> None:
    result = invoke("apply", specs, "--yes", onto=FakeSession([look(plan(unseen=("h4",)))]))

    assert result.exit_code == 3
    assert "unknown, not absent" in result.stderr


def test_apply_exits_1_where_an_action_failed(specs: Path) -> None:
    broken = EVERY_ACTION[0]
    session = FakeSession(
        [CHANGES, CHANGES, look(plan(broken))], outcomes=(Outcome(broken.id, "failed", "the disk is full"),)
    )

    result = invoke("apply", specs, "--yes", onto=session)

    assert result.exit_code == 1
    assert "the disk is full" in result.stderr


def test_apply_carries_out_exactly_the_saved_plan(specs: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    invoke("plan", specs, "--out", file, onto=FakeSession([CHANGES]))
    session = FakeSession([CHANGES, CHANGES, EMPTY])

    result = invoke("apply", specs, "--plan", file, "--yes", onto=session)

    assert result.exit_code == 0
    assert session.expected == [CHANGES.plan.fingerprint]


# -- the others --------------------------------------------------------------------------------------------------------

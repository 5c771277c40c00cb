"""`simulate --replay`: a pass of the past, planned again."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.cli.invocation import Invocation
from reconciler.cli.render_why import Story, render_why
from reconciler.cli.replay import replay
from reconciler.cli.terminal import Terminal
from reconciler.daemon.pass_codec import PassInput, pass_input
from reconciler.daemon.pass_inputs import PassArchive
from reconciler.errors import UsageError
from tests.support.fleets import POLICY, ref, story, vm
from tests.unit.cli.worlds import look

pytestmark = pytest.mark.usefixtures("_own_environment")


def a_pass() -> PassInput:
    fleet = story(vm("web", cloudInit={"userData": "#cloud-config\npassword: hunter2\n"}))
    return pass_input("abc", fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.plan(), fleet.now)


def replayed(state_dir: Path, kept: PassInput) -> int:
    PassArchive(state_dir).keep(kept)
    return replay(Invocation(flags={"stateDir": str(state_dir)}), kept.pass_id)


def test_the_same_plan_is_shown_and_said_to_be_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = replayed(tmp_path, a_pass())

    shown = capsys.readouterr()
    assert code == 0
    assert "VirtualMachine/web" in shown.out
    assert "the same plan" in shown.err


def test_another_plan_is_told_with_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = a_pass()

    code = replayed(tmp_path, replace(made, digest="0", actions=("undefine-domain:VirtualMachine/old@h1",)))

    said = capsys.readouterr().err
    assert code == 1
    assert "only then: undefine-domain:VirtualMachine/old@h1" in said
    assert f"only now: {made.actions[0]}" in said


def test_a_plan_of_another_version_that_differs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = replayed(tmp_path, replace(a_pass(), digest="0", program="0.0.1"))

    said = capsys.readouterr().err
    assert code == 1
    assert "reconciler 0.0.1" in said
    assert "the same actions and reasons" in said


def test_secrets_of_the_kept_specs_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replayed(tmp_path, a_pass())

    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err


def test_a_pass_that_is_not_kept_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--state-dir"):
        replay(Invocation(flags={"stateDir": str(tmp_path)}), "abc")


def test_why_names_the_pass_that_can_be_planned_again() -> None:
    text = render_why(Story(ref("VirtualMachine/web-1"), look(), (), decided_in="7f261b50"), Terminal())

    assert "reconciler simulate --replay 7f261b50" in text

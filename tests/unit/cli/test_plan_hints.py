"""What `plan` says beside the plan: who applies it, and what is wrong with images."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.model.desired_state import SourceRef, SpecProblem
from tests.unit.cli.calling import CHANGES, invoke
from tests.unit.cli.worlds import FakeSession, look

pytestmark = pytest.mark.usefixtures("_own_environment")

ABSENT = SpecProblem(
    SourceRef("images.yaml", 3), "S038", "Image/x", "spec.source.path", "/srv/x.qcow2: no such file", "warning"
)


def test_plan_beside_a_daemon_says_that_the_daemon_applies_it(specs: Path) -> None:
    daemon = "`reconciler run` (pid 4711, since 2026-11-20 08:00:00)"
    view = replace(CHANGES, status=replace(CHANGES.status, controller=daemon))

    result = invoke("plan", specs, onto=FakeSession([view]))

    assert f"Applied by {daemon}" in result.stderr
    assert f"reconciler status {specs}" in result.stderr
    assert "reconciler apply" not in result.stderr


def test_plan_beside_another_apply_says_when_it_can_be_applied(specs: Path) -> None:
    other = "`reconciler apply` (pid 4711, since 2026-11-20 08:00:00)"
    view = replace(CHANGES, status=replace(CHANGES.status, controller=other))

    result = invoke("plan", specs, onto=FakeSession([view]))

    assert f"{other} is at work on this fleet; once it has ended:\nApply:  reconciler apply {specs}" in result.stderr


def test_a_missing_image_is_told_by_plan_and_nobody_is_sent_to_validate_for_it(specs: Path) -> None:
    result = invoke("plan", specs, onto=FakeSession([look(problems=(ABSENT,))]))

    assert "warning[S038]" in result.stderr
    assert "/srv/x.qcow2: no such file" in result.stderr
    assert "validate" not in result.stderr

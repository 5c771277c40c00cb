"""What a shell is offered."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from reconciler.cli.app import app
from reconciler.cli.completion import complete_column, complete_kind, complete_object

_CONTEXT = click.Context(app)
_PARAMETER = click.Argument(["target"])


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: VirtualMachine\nmetadata: {name: web-1, labels: {app: web}}\nspec: {}\n"
        "---\nkind: VirtualMachine\nmetadata:\n  labels: {app: web}\n  name: web-2\n"
        "---\nkind: Host\nmetadata: {name: h1}\n"
    )
    monkeypatch.setenv("RECONCILER_SPECS", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("specs")
def test_objects_of_the_specs_are_offered_by_name() -> None:
    assert complete_object(_CONTEXT, _PARAMETER, "virtualmachine/we") == [
        "VirtualMachine/web-1",
        "VirtualMachine/web-2",
    ]


@pytest.mark.usefixtures("specs")
def test_everything_is_offered_where_nothing_was_typed() -> None:
    assert complete_object(_CONTEXT, _PARAMETER, "") == ["Host/h1", "VirtualMachine/web-1", "VirtualMachine/web-2"]


def test_kinds_are_offered_where_no_specs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECONCILER_SPECS", raising=False)

    assert complete_object(_CONTEXT, _PARAMETER, "vi") == ["VirtualMachine/"]


def test_a_file_that_is_no_text_is_passed_over(specs: Path) -> None:
    (specs / "b.yaml").write_bytes(b"\xff\xfe")

    assert complete_object(_CONTEXT, _PARAMETER, "Host") == ["Host/h1"]


def test_the_last_of_several_columns_is_completed() -> None:
    assert complete_column(_CONTEXT, _PARAMETER, "name,he") == ["name,health"]


def test_kinds_complete_in_any_case() -> None:
    assert complete_kind(_CONTEXT, _PARAMETER, "net") == ["Network"]

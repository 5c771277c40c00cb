"""Commands that are printed work as they are pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from reconciler.cli.app import app
from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.plan_lines import hint_lines
from reconciler.cli.terminal import Terminal
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Summary
from tests.unit.cli.calling import invoke
from tests.unit.cli.plans import plan
from tests.unit.cli.reasons import unmet
from tests.unit.cli.worlds import TROUBLED, FakeSession, look

pytestmark = pytest.mark.usefixtures("_own_environment")

_WHY = NextCommand("why", "Host/h1")
_BLOCKED = look(
    plan(unmet=(unmet("VirtualMachine/web", "host-unread", "h1 can't be read", hint=_WHY),), summary=Summary(*[0] * 7)),
    status=TROUBLED,
)


@pytest.mark.parametrize(
    ("flags", "config", "directory", "expected"),
    [
        ({}, None, None, "reconciler why Host/h1"),
        ({}, None, "./fleet", "reconciler why Host/h1 fleet"),
        ({}, None, "my fleet", "reconciler why Host/h1 'my fleet'"),
        ({"specs": "fleet"}, None, None, "reconciler why Host/h1 --specs fleet"),
        ({"specs": "other"}, None, "fleet", "reconciler why Host/h1 fleet"),
        ({"stateDir": "/s"}, "c.yaml", "fleet", "reconciler why Host/h1 fleet --state-dir /s --config c.yaml"),
        ({"logFormat": "json"}, None, None, "reconciler why Host/h1"),
    ],
)
def test_next_command_takes_what_this_one_was_given(
    flags: dict[str, str], config: str | None, directory: str | None, expected: str
) -> None:
    invocation = Invocation(flags=flags, config_file=Path(config) if config else None)

    commands = command_line(invocation, Path(directory) if directory else None)

    assert commands.spelled(_WHY) == expected


def test_commands_that_take_no_directory_are_given_none() -> None:
    commands = CommandLine(("fleet",), ("--state-dir", "/s"))

    assert commands.spelled(NextCommand("resume")) == "reconciler resume --state-dir /s"


@pytest.mark.parametrize(
    "hint", [NextCommand("fence", "confirm", "h1", "--reason", "TEXT"), NextCommand("fence", "test", "h1")]
)
def test_commands_that_take_the_directory_as_an_option_only_are_given_it_so(hint: NextCommand) -> None:
    commands = CommandLine(("my fleet",))

    printed = commands.spelled(hint)

    assert printed == f"{hint} --specs 'my fleet'"
    _, group, name, *arguments = shlex.split(printed)
    called = app.commands[group]
    assert isinstance(called, click.Group)
    called.commands[name].make_context(name, arguments)


def test_a_command_stays_on_one_line_however_narrow_the_terminal() -> None:
    lines = hint_lines(_WHY, Terminal(width=40), CommandLine(("/a/directory/with/a/very/long/name",)))

    assert len(lines) == 1


@pytest.mark.parametrize("command", [["plan"], ["plan", "--markdown"], ["status"], ["why", "VirtualMachine/web"]])
def test_every_printed_command_names_the_directory_that_was_named(command: list[str], specs: Path) -> None:
    result = invoke(*command, specs, onto=FakeSession([_BLOCKED]))

    hints = [line for line in result.output.splitlines() if "reconciler why" in line]
    assert hints
    assert all(str(specs) in shlex.split(hint) for hint in hints)


def test_a_directory_that_the_environment_names_is_not_repeated(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SPECS", str(specs))

    result = invoke("plan", onto=FakeSession([_BLOCKED]))

    assert "→ reconciler why Host/h1\n" in result.stdout


def test_pausing_tells_the_way_back_to_the_same_ledger(tmp_path: Path) -> None:
    result = invoke("pause", "--state-dir", tmp_path)

    assert f"reconciler resume --state-dir {tmp_path}" in result.stdout

"""`reconciler init`."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.starter_fleet import Machine, look_at_machine, starter_files
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import stderr_terminal
from reconciler.errors import UsageError
from reconciler.specfiles.json_schema import schema


def run(invocation: Invocation, *, directory: Path, image: Path | None) -> int:
    """Write the fleet into a directory that is new or empty."""
    machine = look_at_machine()
    files = {**starter_files(machine, image), "schema.json": json_text(schema())}
    _make(directory)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
        click.echo(str(directory / name))
    _tell(command_line(invocation, directory), machine, image)
    return 0


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        taken = next(directory.iterdir(), None)
    except OSError as error:
        raise UsageError(f"{directory} can't be made: {error.strerror}", hint="name another directory") from error
    if taken is not None:
        raise UsageError(f"{directory} is not empty: there is {taken.name}", hint="name a new directory")


def _tell(commands: CommandLine, machine: Machine, image: Path | None) -> None:
    terminal = stderr_terminal()
    if image is None:
        click.echo("The VM hello has an empty disk: init --image FILE gives it something to boot.", err=True)
    if not machine.kvm:
        click.echo("There is no /dev/kvm that this user may use: hello is emulated (domainType: qemu).", err=True)
    for command in ("check", "plan", "apply"):
        click.echo(terminal.paint(f"→ {commands.call(command)}", "accent"), err=True)

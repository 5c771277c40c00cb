"""Mistakes in the specs, told beside a command that goes on without the objects they concern."""

from __future__ import annotations

import click

from reconciler.cli.command_line import CommandLine
from reconciler.cli.terminal import stderr_terminal, warn
from reconciler.cli.words import count
from reconciler.model.desired_state import DesiredState
from reconciler.model.next_command import ACCEPT_SPECS

_SHOWN = 5


def warn_of_problems(desired: DesiredState, verbosity: int, commands: CommandLine) -> None:
    """One line an error on standard error, a few of many; warnings are counted, and shown with `-v`."""
    terminal = stderr_terminal()
    if desired.doubt:
        how = commands.call(*ACCEPT_SPECS.words)
        warn(f"the fleet is only kept running: {desired.doubt}\n  → if they are right: {how}")
    elif desired.removal_hold:
        warn(f"nothing is removed: {desired.removal_hold}")
    if verbosity < 0:
        return
    errors = desired.errors
    # What only the images tell is told here, as `validate` opens none.
    of_images = tuple(each for each in desired.problems if each.severity == "warning" and each.needs_images)
    shown = desired.problems if verbosity > 0 else (*errors[:_SHOWN], *of_images[:_SHOWN])
    for problem in shown:
        label = terminal.paint(f"{problem.severity}[{problem.code}]", "bad" if problem.severity == "error" else "warn")
        subject = ": ".join(part for part in (problem.target, problem.field) if part)
        click.echo(f"{label} {problem.where}{f' {subject}' if subject else ''}: {problem.message}", err=True)
    warnings = len(desired.problems) - len(errors) - len(of_images)
    left = [
        *([count(len(errors) - _SHOWN, "more error")] if len(errors) > _SHOWN and verbosity <= 0 else []),
        *([count(warnings, "warning")] if warnings and verbosity == 0 else []),
    ]
    if left:
        click.echo(f"{terminal.paint('specs:', 'warn')} {', '.join(left)}  → {commands.call('validate')}", err=True)

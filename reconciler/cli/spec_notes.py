"""Mistakes in the specs, told beside a command that goes on without the objects they concern."""

from __future__ import annotations

import click

from reconciler.cli.terminal import stderr_terminal
from reconciler.cli.words import count
from reconciler.model.desired_state import DesiredState

_SHOWN = 5


def warn_of_problems(desired: DesiredState, verbosity: int) -> None:
    """One line a mistake on standard error, a few of many; nothing where all is well or `--quiet` was given."""
    terminal = stderr_terminal()
    if desired.removal_hold:
        click.echo(f"{terminal.paint('warning:', 'warn', 'bold')} nothing is removed: {desired.removal_hold}", err=True)
    if verbosity < 0:
        return
    shown = desired.problems if verbosity > 0 else desired.problems[:_SHOWN]
    for problem in shown:
        label = terminal.paint(f"{problem.severity}[{problem.code}]", "bad" if problem.severity == "error" else "warn")
        subject = ": ".join(part for part in (problem.target, problem.field) if part)
        click.echo(f"{label} {problem.where} {subject}: {problem.message}", err=True)
    if len(desired.problems) > len(shown):
        click.echo(f"  and {count(len(desired.problems) - len(shown), 'more mistake')}", err=True)
    if desired.problems:
        click.echo(f"  {terminal.paint('→ reconciler validate shows each in its file', 'accent')}", err=True)

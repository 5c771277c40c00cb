"""`reconciler validate`."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.invocation import Invocation
from reconciler.cli.problem_formats import FORMATS
from reconciler.cli.spec_errors import render_problems
from reconciler.cli.terminal import stderr_terminal, stdout_terminal
from reconciler.cli.words import count, revision
from reconciler.model.desired_state import DesiredState


def run(invocation: Invocation, *, directory: Path | None, output_format: str) -> int:
    """Load the specs and print what is wrong with them; 1 where anything is."""
    settings = invocation.settings(directory)
    desired = invocation.doors().load_specs(settings.specs_directory(), settings.fleet)
    if output_format == "text":
        click.echo(render_problems(desired.problems, colour=stdout_terminal().colour), nl=False)
    else:
        click.echo(FORMATS[output_format](desired.problems), nl=False)
    invalid = any(problem.severity == "error" for problem in desired.problems)
    if not invalid and settings.verbosity >= 0:
        _tell(desired)
    return 1 if invalid else 0


def _tell(desired: DesiredState) -> None:
    terminal = stderr_terminal()
    things = (
        (len(desired.hosts), "host"),
        (len(desired.pools), "pool"),
        (len(desired.networks), "network"),
        (len(desired.images), "image"),
        (len(desired.vms), "VM"),
    )
    counts = ", ".join(count(number, noun) for number, noun in things if number) or "no objects"
    sentence = f"✔ valid: {counts} · specs {revision(desired.generation)}"
    click.echo(terminal.paint(sentence, "good"), err=True)

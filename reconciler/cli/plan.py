"""`reconciler plan`."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path
from typing import Literal

import click

from reconciler.cli.invocation import Invocation
from reconciler.cli.terminal import stderr_terminal
from reconciler.errors import UsageError

CHANGES = 2


def run(
    invocation: Invocation,
    *,
    directory: Path | None,
    json: bool,
    markdown: bool,
    short: bool,
    verbose: bool,
    exit_zero: bool,
    out: Path | None,
) -> int:
    """Look, plan, print; 2 where there are changes."""
    if json + markdown + short + verbose > 1:
        raise UsageError("--json, --markdown, --short and --verbose exclude one another", hint="choose one")
    settings = invocation.settings(directory)
    specs = settings.specs_directory()
    with invocation.doors().open_session(settings, None) as session:
        view = session.look(meanwhile=_import_rendering)
    from reconciler.cli.plan_json import write_plan_file  # noqa: PLC0415  see _import_rendering
    from reconciler.cli.plan_page import plan_text  # noqa: PLC0415
    from reconciler.cli.spec_notes import warn_of_problems  # noqa: PLC0415

    warn_of_problems(view.desired, invocation.verbosity)
    if out is not None:
        write_plan_file(out, view.plan, view.inventory.unread)
    detail: Literal["short", "normal", "verbose"] = "short" if short else "verbose" if verbose else "normal"
    click.echo(plan_text(view, json=json, markdown=markdown, detail=detail), nl=False)
    if not json and not markdown and view.plan.actions and invocation.verbosity >= 0:
        _suggest(specs, out)
    return CHANGES if view.plan.actions and not exit_zero else 0


def _import_rendering() -> None:
    """Import what prints the plan while the hosts are answering: that time is had for nothing."""
    import_module("reconciler.cli.plan_page")


def _suggest(specs: Path, out: Path | None) -> None:
    """The next command, on standard error: it is talk, not data."""
    terminal = stderr_terminal()
    apply = f"reconciler apply {shlex.quote(str(specs))}"
    if out is not None:
        line = f"Apply exactly this:  {terminal.paint(f'{apply} --plan {shlex.quote(str(out))}', 'accent')}"
    else:
        line = (
            f"Apply:  {terminal.paint(apply, 'accent')}    (exactly this: plan with --out FILE, apply with --plan FILE)"
        )
    click.echo(line, err=True)

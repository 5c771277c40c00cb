"""`reconciler plan`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from reconciler.cli.invocation import Invocation
from reconciler.cli.plan_json import plan_json, write_plan_file
from reconciler.cli.plan_lines import Detail
from reconciler.cli.plan_markdown import plan_markdown
from reconciler.cli.render_plan import PlanPage, render_plan
from reconciler.cli.spec_notes import warn_of_problems
from reconciler.cli.step_words import disk_images
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import stderr_terminal, stdout_terminal
from reconciler.daemon.view import View
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
        view = session.look()
    warn_of_problems(view.desired, invocation.verbosity)
    if out is not None:
        write_plan_file(out, view.plan, view.inventory.unread)
    detail: Detail = "short" if short else "verbose" if verbose else "normal"
    click.echo(_text(view, json=json, markdown=markdown, detail=detail), nl=False)
    if not json and not markdown and view.plan.actions and invocation.verbosity >= 0:
        _suggest(specs, out)
    return CHANGES if view.plan.actions and not exit_zero else 0


def page_of(view: View) -> PlanPage:
    """What the plan's text is made from."""
    unread = tuple(view.inventory.unread[name] for name in sorted(view.inventory.unread))
    return PlanPage(plan=view.plan, at=view.at, images=disk_images(view.desired), unread=unread)


def _text(view: View, *, json: bool, markdown: bool, detail: Detail) -> str:
    if json:
        return json_text(plan_json(view.plan, view.inventory.unread))
    if markdown:
        return plan_markdown(page_of(view))
    return render_plan(page_of(view), stdout_terminal(), detail=detail)


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

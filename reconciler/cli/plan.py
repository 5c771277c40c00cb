"""`reconciler plan`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from reconciler.cli.endings import ERROR
from reconciler.cli.invocation import Invocation
from reconciler.cli.ledger_doubts import warn_of_ledger
from reconciler.cli.terminal import stderr_terminal
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.cli.command_line import CommandLine

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
    if_down: tuple[str, ...],
    out: Path | None,
) -> int:
    """Look, plan, print; 2 where there are changes, else 1 where the specs have mistakes."""
    if json + markdown + short + verbose > 1:
        raise UsageError("--json, --markdown, --short and --verbose exclude one another", hint="choose one")
    if if_down and out is not None:
        raise UsageError("a plan for hosts that are not down can't be applied, so it is not written", hint="no --out")
    settings = invocation.settings(directory)
    settings.specs_directory()
    warn_of_ledger(settings)
    with invocation.doors().open_session(settings, None) as session:
        view = session.look(meanwhile=_import_rendering)
    if if_down:
        view = import_module("reconciler.daemon.supposition").suppose_down(view, if_down, settings.policy)
    from reconciler.cli.command_line import command_line  # noqa: PLC0415  see _import_rendering
    from reconciler.cli.plan_file import write_plan_file  # noqa: PLC0415
    from reconciler.cli.plan_page import plan_text  # noqa: PLC0415
    from reconciler.cli.spec_notes import warn_of_problems  # noqa: PLC0415

    commands = command_line(invocation, directory)
    warn_of_problems(view.desired, invocation.verbosity, commands)
    if out is not None:
        write_plan_file(out, view)
    detail: Literal["short", "normal", "verbose"] = "short" if short else "verbose" if verbose else "normal"
    click.echo(plan_text(view, commands, json=json, markdown=markdown, detail=detail), nl=False)
    if not json and not markdown and invocation.verbosity >= 0:
        if if_down:
            _tell_supposed(if_down)
        elif view.plan.actions:
            _suggest(commands, out, view.status.controller)
    if view.plan.actions and not exit_zero:
        return CHANGES
    return ERROR if view.desired.errors else 0


def _import_rendering() -> None:
    """Import what prints the plan while the hosts are answering: that time is had for nothing."""
    import_module("reconciler.cli.plan_page")


def _tell_supposed(hosts: tuple[str, ...]) -> None:
    dead = f"{' and '.join(hosts)} {'is' if len(hosts) == 1 else 'are'} proven dead"
    click.echo(f"This is what would be done once {dead}; nothing of it can be applied now.", err=True)


def _suggest(commands: CommandLine, out: Path | None, controller: str) -> None:
    """The next command, on standard error: it is talk, not data. Beside a controller `apply` would be refused."""
    terminal = stderr_terminal()
    if controller.startswith("`reconciler run`"):
        status = terminal.paint(commands.call("status"), "accent")
        click.echo(f"Applied by {controller}, as far as nothing is in its way; how far it is:  {status}", err=True)
        return
    if controller:
        click.echo(f"{controller} is at work on this fleet; once it has ended:", err=True)
    apply = terminal.paint(commands.call("apply", *(("--plan", str(out)) if out is not None else ())), "accent")
    exactly = "" if out is not None else "    (exactly this: plan with --out FILE, apply with --plan FILE)"
    click.echo(f"{'Apply:' if out is None else 'Apply exactly this:'}  {apply}{exactly}", err=True)

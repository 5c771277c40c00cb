"""`reconciler apply`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.log_setup import configure_logs
from reconciler.cli.outside import Session
from reconciler.cli.plan_basis import basis_of, what_moved
from reconciler.cli.plan_file import SavedPlan, read_plan_file
from reconciler.cli.plan_page import page_of
from reconciler.cli.progress import progress_for
from reconciler.cli.render_plan import render_plan
from reconciler.cli.spec_notes import warn_of_problems
from reconciler.cli.step_words import disk_images
from reconciler.cli.summary import Verdict, verdict_of
from reconciler.cli.terminal import stderr_terminal, stdout_terminal
from reconciler.config import Settings
from reconciler.daemon.view import Converged, View
from reconciler.errors import PreconditionFailed, UsageError


def run(invocation: Invocation, *, directory: Path | None, plan: Path | None, yes: bool) -> int:
    """Show the plan, ask, converge once, sum up."""
    settings = invocation.settings(directory)
    settings.specs_directory()
    commands = command_line(invocation, directory)
    saved = read_plan_file(plan) if plan is not None else None
    expect = saved.fingerprint if saved is not None else None
    if not yes:
        _refuse_where_nobody_answers(settings, commands)
    configure_logs(settings)
    doors = invocation.doors()
    with doors.open_session(settings, "apply") as session:
        view = session.look()
        if view.ledger.failures and expect is None:
            # Whoever runs apply may just have mended what failed: it is tried now, not in ten minutes.
            session.forget_failures()
            view = session.look()
        warn_of_problems(view.desired, settings.verbosity, commands)
        _refuse_other_plan(view, saved, plan, commands)
        if settings.verbosity >= 0:
            click.echo(render_plan(page_of(view, commands), stdout_terminal()), nl=False)
        if not view.plan.actions and not (yes and session.until_retry(view) is not None):
            verdict = verdict_of(view, (), settled=True)
        elif yes or _agreed(session, view, commands):
            verdict = _converge(session, view, settings, expect)
        else:
            click.echo("nothing was changed", err=True)
            return 1
    click.echo(verdict.text(stderr_terminal(), commands), err=True)
    return verdict.code


def _refuse_where_nobody_answers(settings: Settings, commands: CommandLine) -> None:
    if settings.interactive and sys.stdin.isatty():
        return
    saved = commands.call("apply", "--yes", "--plan", "FILE")
    raise UsageError(
        "apply asks before it changes anything, and nobody can answer here",
        hint=f"read the plan, then add --yes; or carry out a saved one: {saved}",
    )


def _refuse_other_plan(view: View, saved: SavedPlan | None, file: Path | None, commands: CommandLine) -> None:
    if saved is None:
        return
    moved = what_moved(saved.basis, basis_of(view))
    if view.plan.fingerprint != saved.fingerprint:
        then, now = saved.fingerprint[:7], view.plan.fingerprint[:7]
        moved = (*moved, f"that was plan {then}, now it would be {now}")
    if moved:
        raise PreconditionFailed(
            f"{file}: the world has moved, so nothing of it is done:\n" + "\n".join(f"  - {each}" for each in moved),
            hint=f"look at what it would be now: {commands.call('plan', '--out', str(file))}",
        )


def _agreed(session: Session, view: View, commands: CommandLine) -> bool:
    """Ask; and ask again where the world moved while the reader was reading."""
    while True:
        worst = view.plan.worst
        question = "Apply this?" if worst in {"none", "live"} else f"Apply this? The worst of it is: {worst}"
        if not click.confirm(question, default=False, err=True):
            return False
        now = session.look()
        if now.plan.fingerprint == view.plan.fingerprint:
            return True
        click.echo("The world moved meanwhile. Now it would be:", err=True)
        click.echo(render_plan(page_of(now, commands), stdout_terminal()), nl=False)
        view = now


def _converge(session: Session, view: View, settings: Settings, expect: str | None) -> Verdict:
    terminal = stderr_terminal()
    stop = threading.Event()
    progress = progress_for(disk_images(view.desired), terminal, settings)
    with handing_back(stop), progress:
        converged: Converged = session.converge(observer=progress, stop=stop, expect=expect, first=view)
    return verdict_of(
        converged.view,
        converged.outcomes,
        settled=converged.settled,
        stopped=stop.is_set(),
        exact=expect is not None,
    )


@contextmanager
def handing_back(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C begins nothing new and lets what is in flight end; the second leaves at once."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        sys.stderr.write(
            f"\n{name}: what is in flight ends, nothing new begins, nothing is undone; once more leaves at once\n"
        )

    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread alone
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

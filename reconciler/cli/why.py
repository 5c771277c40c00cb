"""`reconciler why`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.references import parse_reference
from reconciler.cli.render_why import Story, render_why, without_beginnings
from reconciler.cli.terminal import stdout_terminal
from reconciler.daemon.view import View
from reconciler.errors import UsageError
from reconciler.ledger.records import LedgerEvent
from reconciler.model.resource import ObjectRef


def run(invocation: Invocation, *, target: str, directory: Path | None, events: int) -> int:
    """Look, and tell what is behind one object."""
    reference = parse_reference(target)
    settings = invocation.settings(directory)
    settings.specs_directory()
    doors = invocation.doors()
    with doors.open_session(settings, None) as session:
        view = session.look()
    with doors.read_ledger(settings.state_dir) as ledger:
        # Twice as many are read, for beginnings are left out where their end is told.
        past = without_beginnings(ledger.events(str(reference), 2 * events))[:events] if events else []
    commands = command_line(invocation, directory)
    _refuse_unknown(reference, view, past, commands)
    click.echo(render_why(Story(reference, view, past, commands), stdout_terminal()), nl=False)
    return 0


def _refuse_unknown(reference: ObjectRef, view: View, past: Sequence[LedgerEvent], commands: CommandLine) -> None:
    """An object that nobody ever heard of is a slip of the pen, not a story."""
    known = {*view.desired.sources, *view.desired.unusable}
    known |= {action.target for action in view.plan.actions} | {item.target for item in view.plan.unmet}
    known |= {ObjectRef("VirtualMachine", vm.name) for vm in view.status.vms}
    if reference in known or past:
        return
    near = difflib.get_close_matches(str(reference), [str(item) for item in known], n=1)
    raise UsageError(
        f"{reference}: nothing of that name is in the specs, on a host or in the history",
        hint=f"did you mean {near[0]}?" if near else f"{commands.call('status')} lists what there is",
    )

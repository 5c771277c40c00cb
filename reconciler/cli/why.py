"""`reconciler why`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.ledger_doubts import warn_of_ledger
from reconciler.cli.outside import LedgerBook
from reconciler.cli.references import parse_reference
from reconciler.cli.render_why import Story, render_why, without_beginnings
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import stdout_terminal
from reconciler.cli.why_data import why_data
from reconciler.daemon.pass_inputs import PassArchive
from reconciler.daemon.view import View
from reconciler.errors import UsageError
from reconciler.ledger.lost_host_timeline import lost_host, timeline_of_host, timeline_of_vm
from reconciler.ledger.records import LedgerEvent
from reconciler.model.resource import ObjectRef

_BACK: Final = 200
"""Events that are searched for a timeline."""


def run(invocation: Invocation, *, target: str, directory: Path | None, events: int, json: bool = False) -> int:
    """Look, and tell what is behind one object."""
    settings = invocation.settings(directory)
    settings.specs_directory()
    warn_of_ledger(settings)
    doors = invocation.doors()
    named = parse_reference(target) if "/" in target else None
    with doors.open_session(settings, None) as session:
        view = session.look()
    reference = _named_now(named or _the_one_called(target, view), view)
    with doors.read_ledger(settings) as ledger:
        # Twice as many are read, for beginnings are left out where their end is told.
        past = without_beginnings(ledger.events(str(reference), 2 * events))[:events] if events else []
        timeline = _timeline(reference, ledger)
        attempts = ledger.attempts(reference.name) if reference.kind == "Host" else ()
    commands = command_line(invocation, directory)
    _refuse_unknown(reference, view, past, commands)
    story = Story(reference, view, past, commands, timeline, attempts, _pass_of(past, settings.state_dir))
    click.echo(json_text(why_data(story)) if json else render_why(story, stdout_terminal()), nl=False)
    return 0


def _pass_of(past: Sequence[LedgerEvent], state_dir: Path) -> str:
    """The pass behind the newest event that one decided, if that can still be planned again."""
    decided = next((event.pass_id for event in past if event.pass_id), "")
    return decided if decided in PassArchive(state_dir).ids() else ""


def _timeline(reference: ObjectRef, ledger: LedgerBook) -> Sequence[LedgerEvent]:
    """The last loss of the host, or of the host that the VM was on."""
    if reference.kind == "Host":
        return timeline_of_host(ledger.events(str(reference), _BACK))
    if reference.kind != "VirtualMachine":
        return ()
    own = ledger.events(str(reference), _BACK)
    host = lost_host(own)
    return timeline_of_vm(own, ledger.events(f"Host/{host}", _BACK)) if host else ()


def _the_one_called(name: str, view: View) -> ObjectRef:
    """The object of that name, whatever its kind; raises UsageError if there is none, or more than one."""
    known = {*view.desired.sources, *view.desired.unusable}
    known |= {ObjectRef("VirtualMachine", vm.name) for vm in view.status.vms}
    found = sorted(str(item) for item in known if item.name == name)
    if len(found) > 1:
        raise UsageError(f"{name!r} is the name of {' and of '.join(found)}", hint=f"write {found[0]}")
    return parse_reference(found[0] if found else name)


def _named_now(reference: ObjectRef, view: View) -> ObjectRef:
    """A VM whose domain has not its new name yet goes by the old one."""
    old = next((old for old, new in view.desired.to_rename.items() if new == reference.name), None)
    return reference if old is None or reference.kind != "VirtualMachine" else ObjectRef(reference.kind, old)


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

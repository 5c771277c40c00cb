"""`reconciler fence confirm`: a human's word that a lost host is dead."""

from __future__ import annotations

import sys
from typing import Final

import click

from reconciler.cli.command_line import CommandLine, command_line
from reconciler.cli.fence import host_name
from reconciler.cli.fence_life_signs import power_is_on, refuse_answering, refuse_held, refuse_powered
from reconciler.cli.invocation import Invocation
from reconciler.cli.sayings import checked_reason, who
from reconciler.cli.terminal import warn
from reconciler.cli.words import moment
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.errors import PreconditionFailed, UsageError
from reconciler.ledger.records import FENCE_PROOF, LedgerEvent
from reconciler.model.health import FenceProof, Incident
from reconciler.model.host import Host
from reconciler.model.ledger import LedgerView

_MEANING: Final = """\
You say that {host} is powered off, or its disks can't be reached from it any more, and that it stays so.
From then on its VMs are started on other hosts. If {host} still runs them, their disks are destroyed.
Incident {incident}: lost since {opened}, last seen {seen}."""


def run(
    invocation: Invocation,
    *,
    host: str,
    reason: str,
    by: str | None,
    yes: bool,
    although_on: bool,
    although_held: bool,
) -> int:
    """Record the proof; 0 also where the host is proven dead already."""
    settings = invocation.settings()
    doors = invocation.doors()
    commands = command_line(invocation)
    name = host_name(host)
    why = checked_reason(reason, "why the host is surely dead", "pulled both power cords at the rack")
    with doors.read_ledger(settings) as book:
        view = book.view()
    incident = _open_incident(view, name, commands)
    if name in view.proofs:
        proof = view.proofs[name]
        click.echo(f"{name} is proven dead already, by {proof.by} at {moment(proof.at)}: {proof.evidence}")
        return 0
    desired = doors.load_specs(settings.specs_directory(), settings.fleet)
    if not although_held:
        refuse_held(desired, view, name, commands)
    why += _doubts(invocation, desired.hosts.get(name), name, although_on=although_on)
    seen = moment(incident.last_seen) if incident.last_seen is not None else "never"
    meaning = _MEANING.format(host=name, incident=incident.id, opened=moment(incident.opened), seen=seen)
    click.echo(meaning, err=True)
    if not yes and not _agreed(settings, name):
        click.echo("nothing was recorded", err=True)
        return 1
    proof = FenceProof(name, incident.id, "human", SystemClock().now(), why, who(by))
    with doors.write_ledger(settings) as ledger:
        ledger.record_proof(proof)
        ledger.record_event(
            LedgerEvent(proof.at, "", f"Host/{name}", "", FENCE_PROOF, f"confirmed by {proof.by}: {why}")
        )
    click.echo(f"{name} counts as dead, by {proof.by}: {why}")
    click.echo(f"  what becomes of its VMs: {commands.call('plan')}", err=True)
    return 0


def _doubts(invocation: Invocation, host: Host | None, name: str, *, although_on: bool) -> str:
    """Have the host and its devices asked; what the record says of devices that were overruled."""
    settings, commands = invocation.settings(), command_line(invocation)
    if host is None:
        warn(f"{name} is not in the specs, so neither it nor its fence devices were asked")
        return ""
    refuse_answering(invocation.doors(), settings, host, commands)
    powered = power_is_on(settings, host)
    if not although_on:
        refuse_powered(name, powered, commands)
    return "".join(f" (although {answer.level.text} says that it is on)" for answer in powered)


def _open_incident(view: LedgerView, host: str, commands: CommandLine) -> Incident:
    incident = view.incidents.get(host)
    if incident is None:
        others = ", ".join(sorted(view.incidents)) or "none"
        raise PreconditionFailed(
            f"Host/{host} has no open incident, so there is nothing to confirm; hosts that are lost: {others}",
            hint=f"a running daemon opens one once the host is unreachable; look: {commands.call('status')}",
        )
    if incident.returned_at is not None:
        raise PreconditionFailed(
            f"Host/{host} has answered again at {moment(incident.returned_at)}, so it is not dead",
            hint=commands.call("why", f"host/{host}"),
        )
    return incident


def _agreed(settings: Settings, name: str) -> bool:
    if not settings.interactive or not sys.stdin.isatty():
        raise UsageError(
            "fence confirm asks before it is recorded, and nobody can answer here",
            hint=f"make sure that {name} is off, then add --yes",
        )
    return click.confirm(f"Is {name} surely dead?", default=False, err=True)

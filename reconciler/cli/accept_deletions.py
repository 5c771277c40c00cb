"""`reconciler accept-deletions`: a human means all of a mass deletion that is held."""

from __future__ import annotations

import time
from pathlib import Path

import click

from reconciler.cli.invocation import Invocation
from reconciler.cli.sayings import who
from reconciler.errors import PreconditionFailed
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import FLEET_TARGET
from reconciler.model.mass_deletion import MassDeletion
from reconciler.model.next_command import NextCommand


def run(invocation: Invocation, *, fingerprint: str, directory: Path | None, yes: bool) -> int:
    """Look at what is held; write down that it is meant if it is still what the fingerprint was told for."""
    settings, doors = invocation.settings(directory), invocation.doors()
    settings.specs_directory()
    with doors.open_session(settings, None) as session:
        held = session.look().plan.mass_deletion
    mass = _expected(held, fingerprint)
    for deletion in mass.deletions:
        click.echo(f"  - {deletion}", err=True)
    if not yes and not click.confirm(f"{mass.sentence}. Is all of it meant?", err=True):
        return 1
    with doors.write_ledger(settings) as ledger:
        ledger.accept_deletions(mass.deletions)
        said = f"{mass.fingerprint}: {len(mass.deletions)} deletions, by {who(None)}"
        ledger.record_event(LedgerEvent(time.time(), "", FLEET_TARGET, "", "deletions-accepted", said))
    click.echo(f"accepted: {len(mass.deletions)} deletions go on with the next pass, and no others")
    return 0


def _expected(held: MassDeletion | None, fingerprint: str) -> MassDeletion:
    if held is None:
        raise PreconditionFailed("no deletions are held for being many", hint=NextCommand("plan"))
    if held.fingerprint != fingerprint:
        raise PreconditionFailed(
            f"what is held is {held.fingerprint} now, not {fingerprint}: the specs or the fleet moved since",
            hint="look at it: reconciler plan",
        )
    return held

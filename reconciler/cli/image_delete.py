"""`reconciler image delete`."""

from __future__ import annotations

import sys

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.image_names import known_versions
from reconciler.cli.invocation import Invocation
from reconciler.cli.sayings import who
from reconciler.config import Settings
from reconciler.errors import PreconditionFailed, UsageError
from reconciler.ledger.records import LedgerEvent
from reconciler.model.quantities import approximate_size
from reconciler.model.version import ImageVersion
from reconciler.planner.pruning import protection
from reconciler.planner.version_uses import keeping


def run(invocation: Invocation, *, version: str, yes: bool) -> int:
    """Ask for the end of one version, which the next plan deletes; refused while anything needs it."""
    settings, doors, commands = invocation.settings(), invocation.doors(), command_line(invocation)
    if version.endswith("@latest"):
        raise UsageError("name the version by its instant: what is the latest changes", hint="NAME@2026-11-22T02:00Z")
    known = known_versions(doors, settings)
    found = known.version(version, commands)
    versions = known.versions[found.image]
    declared = found.image in known.world.desired.images
    why_not = protection(keeping(known.world, found.image), versions, found.stamp, is_declared=declared)
    if why_not:
        raise PreconditionFailed(
            f"{found.name} is not deleted: {why_not}", hint=commands.call("image", "versions", found.image)
        )
    if not yes and not _agreed(settings, found):
        click.echo("nothing is deleted", err=True)
        return 1
    now = known.world.now
    with doors.write_ledger(settings) as ledger:
        ledger.request_removal(found.image, found.stamp, now)
        message = f"{found.name} is to be deleted, by {who(None)}"
        ledger.record_event(LedgerEvent(now, "", f"Image/{found.image}", found.host or "", "requested", message))
    click.echo(f"{found.name} is deleted by the next pass: of a running daemon within seconds, else of apply")
    click.echo(f"  see it before: {commands.call('plan')}", err=True)
    return 0


def _agreed(settings: Settings, found: ImageVersion) -> bool:
    if not settings.interactive or not sys.stdin.isatty():
        raise UsageError("image delete asks first, and nobody can answer here", hint="add --yes")
    size = approximate_size(found.size)
    return click.confirm(f"Delete {found.name} ({size}, {found.consistency}) for good?", default=False, err=True)

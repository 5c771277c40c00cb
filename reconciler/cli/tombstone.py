"""`reconciler tombstone`: what is kept of removed VMs is kept longer, or given up."""

from __future__ import annotations

import time

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.outside import LedgerBook
from reconciler.cli.sayings import who
from reconciler.errors import UsageError
from reconciler.ledger.records import LedgerEvent
from reconciler.model.quantities import parse_duration
from reconciler.model.resource import ObjectRef
from reconciler.model.spoken_time import span, utc
from reconciler.model.tombstone import Tombstone


def run_keep(invocation: Invocation, *, vm: str, duration: str | None) -> int:
    """Have it kept from now on for as long as is said."""
    settings = invocation.settings()
    seconds = settings.policy.tombstone_retention if duration is None else _seconds(duration)
    with invocation.doors().write_ledger(settings) as ledger:
        _known(ledger, vm)
        until = time.time() + seconds
        ledger.keep_tombstones(vm, until)
        ledger.record_event(_event(vm, "kept-longer", f"until {utc(until)}, by {who(None)}"))
    click.echo(f"what is kept of {vm} is kept until {utc(until)}, {span(seconds)} from now")
    return 0


def run_purge(invocation: Invocation, *, vm: str, yes: bool) -> int:
    """Have it deleted; 1 where whoever is asked does not want that."""
    with invocation.doors().write_ledger(invocation.settings()) as ledger:
        stones = _known(ledger, vm)
        volumes = [f"{name} in pool {pool} on {stone.host}" for stone in stones for pool, name in stone.volumes]
        click.echo(f"to be deleted for good, all data in it lost: {', '.join(volumes)}", err=True)
        if not yes and not click.confirm(f"Give up what is kept of {vm}?", err=True):
            return 1
        ledger.purge_tombstones(vm)
        ledger.record_event(_event(vm, "purged", f"by {who(None)}"))
    back = command_line(invocation).call("tombstone", "keep", vm)
    click.echo(f"what is kept of {vm} is deleted with the next pass; until then {back} takes that back")
    return 0


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--for {error}", hint="such as --for 30d") from error


def _known(ledger: LedgerBook, vm: str) -> tuple[Tombstone, ...]:
    stones = ledger.view().tombstones
    found = tuple(stone for stone in stones if stone.vm == vm)
    if not found:
        names = ", ".join(sorted({stone.vm for stone in stones}))
        raise UsageError(f"nothing is kept of {vm}", hint=f"there is of {names}" if names else "nothing is kept at all")
    return found


def _event(vm: str, event: str, message: str) -> LedgerEvent:
    target = str(ObjectRef("VirtualMachine", vm))
    return LedgerEvent(at=time.time(), pass_id="", target=target, host="", event=event, message=message)

"""`reconciler leader`, and the ledger that controllers share as commands see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
from msgspec.structs import asdict

from reconciler.cli.command_line import command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.ledger_doubts import warn_of_ledger
from reconciler.cli.sayings import checked_reason, who
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import stderr_terminal
from reconciler.cli.words import moment
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.daemon.shared_ledger import shared_ledger
from reconciler.errors import PreconditionFailed, UsageError
from reconciler.leadership import candidate
from reconciler.leadership.keys import Leader
from reconciler.ledger.asking import AskingLedger
from reconciler.ledger.led_specs import LedSpecs, told_of
from reconciler.ledger.records import SPECS_ACCEPTED, LedgerEvent
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.store import FLEET_TARGET, Ledger

_EVENTS_SHOWN: Final = 5
"""Of the fleet as a whole, the newest first."""


def run(
    invocation: Invocation,
    *,
    json: bool,
    accept_store: bool,
    accept_specs: bool,
    reason: str | None,
    by: str | None,
    export: bool,
) -> int:
    """Ask etcd; 1 where nobody leads."""
    settings = invocation.settings()
    if settings.etcd is None:
        raise UsageError(
            "the ledger is a file of this machine: whoever runs here leads",
            hint="several controllers share one in etcd: name its endpoints as ledger.etcd.endpoints",
        )
    if export:
        return _export(settings)
    if accept_specs:
        return _accept_specs(invocation, settings, reason or "", by)
    if accept_store:
        _accept(settings)
    leader = leader_now(settings)
    warn_of_ledger(settings)
    with invocation.doors().read_ledger(settings) as ledger:
        led, events = ledger.led_specs(), ledger.events(FLEET_TARGET, _EVENTS_SHOWN)
    if json:
        data = {
            "version": 1,
            "leader": None if leader is None else asdict(leader),
            "specs": None if led is None else _as_json(led),
            "events": [{"at": event.at, "event": event.event, "message": event.message} for event in events],
        }
        click.echo(json_text(data), nl=False)
    else:
        click.echo(f"{leader} leads fleet {settings.fleet}" if leader else f"nobody leads fleet {settings.fleet}")
        for event in events:
            click.echo(f"  {moment(event.at)}  {event.event}: {event.message}")
        if led is not None and led.doubted:
            click.echo(f"{stderr_terminal().paint('warning:', 'warn', 'bold')} {told_of(led)}", err=True)
        if difference := difference_of_specs(settings):
            click.echo(f"{stderr_terminal().paint('warning:', 'warn', 'bold')} {difference}", err=True)
    return 0 if leader else 1


def _accept(settings: Settings) -> None:
    with shared_ledger(settings) as shared:
        prepare_state_directory(settings.state_dir)
        candidate.accept_store(shared.store, shared.keys, shared.position)
        click.echo(f"etcd at {shared.store.name} is believed as it is now, by this machine", err=True)


def _as_json(led: LedSpecs) -> dict[str, str | None]:
    doubted = {"doubted": led.doubted or None, "doubtedController": led.doubted_name if led.doubted else None}
    return {"generation": led.generation, "controller": led.name, **doubted}


def _accept_specs(invocation: Invocation, settings: Settings, reason: str, by: str | None) -> int:
    why = checked_reason(reason, "why these specs are the right ones", "c1 is gone, and this is what its checkout had")
    with invocation.doors().write_ledger(settings) as ledger:
        led = ledger.led_specs()
        if led is None or not led.doubted:
            raise PreconditionFailed(
                "no specs are in doubt: who leads, or led last, has those that were led by before, or newer ones",
                hint="where this machine has others, bring them to those: reconciler leader tells",
            )
        ledger.accept_specs(led.doubted)
        told = f"specs {led.doubted[:20]} of {led.doubted_name} instead of {led.generation[:20]} of {led.name}"
        said = f"{told}, by {who(by)}: {why}"
        ledger.record_event(LedgerEvent(SystemClock().now(), "", FLEET_TARGET, "", SPECS_ACCEPTED, said))
    click.echo(f"the fleet is led by {said}")
    click.echo(f"  what becomes of it: {command_line(invocation).call('plan')}", err=True)
    return 0


def _export(settings: Settings) -> int:
    with shared_ledger(settings) as shared:
        path = shared.export()
        click.echo(f"{path} is the ledger of fleet {settings.fleet} now: take ledger.etcd out of the configuration")
        click.echo(
            f"  start no controller with etcd at {shared.store.name} any more: it would act by what that holds",
            err=True,
        )
    return 0


def leader_now(settings: Settings) -> Leader | None:
    """Who leads; raises StoreUnavailable."""
    with shared_ledger(settings) as shared:
        return candidate.leader_of(shared.store, shared.keys)


def difference_of_specs(settings: Settings) -> str:
    """A sentence where this machine has other specs than the leader acted on; raises StoreUnavailable."""
    with shared_ledger(settings) as shared:
        return shared.difference_of_specs()


@contextmanager
def ledger_of(settings: Settings, *, readonly: bool) -> Iterator[Ledger | AskingLedger]:
    """The shared ledger: to look at, or to have its leader write; raises StoreUnavailable, LedgerError."""
    with shared_ledger(settings) as shared:
        if readonly:
            with shared.copy() as copy:
                yield copy
        else:
            with shared.for_writing("command") as ledger:
                yield ledger

"""`reconciler leader`: who leads and who stands by, by which specs, and what a human says of etcd and of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click
from msgspec.structs import asdict

from reconciler.cli.invocation import Invocation
from reconciler.cli.sayings import checked_reason, who
from reconciler.cli.shared import Sharing, look
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import warn
from reconciler.cli.words import moment
from reconciler.clock import SystemClock
from reconciler.daemon.shared_ledger import SharedLedger, shared_ledger
from reconciler.errors import PreconditionFailed, UsageError
from reconciler.leadership.candidate import accept_store as believe
from reconciler.ledger.led_specs import LedSpecs, told_of
from reconciler.ledger.records import SPECS_ACCEPTED, LedgerEvent
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.store import FLEET_TARGET

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
    with shared_ledger(settings) as shared:
        if accept_specs:
            return _accept_specs(shared, reason or "", by)
        if export:
            return _export(shared)
        if accept_store:
            return _accept_store(shared)
        return _tell(shared, json=json)


def _tell(shared: SharedLedger, *, json: bool) -> int:
    sharing = look(shared)
    with shared.copy() as ledger:
        led, events = ledger.led_specs(), ledger.events(FLEET_TARGET, _EVENTS_SHOWN)
    if json:
        click.echo(json_text(_as_json(sharing, led, events)), nl=False)
    else:
        for line in _lines(sharing, shared.settings.fleet, events):
            click.echo(line)
    for warning in _warnings(sharing, led):
        warn(warning)
    return 0 if sharing.leader and not sharing.is_over else 1


def _lines(sharing: Sharing, fleet: str, events: tuple[LedgerEvent, ...]) -> Iterator[str]:
    if sharing.is_over:
        yield f"nobody leads fleet {fleet}: the lease of {sharing.leader}, which stands by itself, is yet to end"
    else:
        yield f"{sharing.leader} leads fleet {fleet}" if sharing.leader else f"nobody leads fleet {fleet}"
    for standby in sharing.standbys:
        yield f"  stands by: {standby}"
    if not sharing.standbys:
        yield "  nobody stands by"
    for event in events:
        yield f"  {moment(event.at)}  {event.event}: {event.message}"


def _warnings(sharing: Sharing, led: LedSpecs | None) -> Iterator[str]:
    yield from sharing.doubts
    for name in sharing.namesakes:
        yield f"more than one controller is called {name}: give each a ledger.etcd.name of its own"
    if led is not None and led.doubted:
        yield told_of(led)
    if sharing.difference:
        yield sharing.difference


def _as_json(sharing: Sharing, led: LedSpecs | None, events: tuple[LedgerEvent, ...]) -> dict[str, object]:
    return {
        "version": 1,
        "leader": None if sharing.leader is None else asdict(sharing.leader),
        "standbys": [asdict(standby) for standby in sharing.standbys],
        "specs": None if led is None else _specs_as_json(led),
        "events": [{"at": event.at, "event": event.event, "message": event.message} for event in events],
    }


def _specs_as_json(led: LedSpecs) -> dict[str, str | None]:
    doubted = {"doubted": led.doubted or None, "doubtedController": led.doubted_name if led.doubted else None}
    return {"generation": led.generation, "controller": led.name, **doubted}


def _accept_specs(shared: SharedLedger, reason: str, by: str | None) -> int:
    why = checked_reason(reason, "why these specs are the right ones", "c1 is gone, and this is what its checkout had")
    with shared.for_writing("leader --accept-specs") as ledger:
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
    click.echo("  bring the specs of all other controllers to these: by their own they would be in doubt", err=True)
    return 0


def _accept_store(shared: SharedLedger) -> int:
    prepare_state_directory(shared.settings.state_dir)
    had_gone_back = shared.went_back()
    believe(shared.store, shared.keys, shared.position)
    if had_gone_back:
        click.echo(f"etcd at {shared.store.name} is believed as it is now, by this machine; say so on the others too")
    else:
        click.echo(f"etcd at {shared.store.name} was believed by this machine already")
    return 0


def _export(shared: SharedLedger) -> int:
    path = shared.export()
    click.echo(f"{path} is the ledger of fleet {shared.settings.fleet} now: take ledger.etcd out of the configuration")
    click.echo(
        f"  start no controller with etcd at {shared.store.name} any more: it would act by what that holds", err=True
    )
    return 0

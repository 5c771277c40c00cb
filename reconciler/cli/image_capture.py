"""`reconciler image capture` and `reconciler image cancel`."""

from __future__ import annotations

import time

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.known_objects import refuse_unknown
from reconciler.cli.sayings import who
from reconciler.errors import UsageError
from reconciler.ledger.records import LedgerEvent
from reconciler.model.resource import ObjectRef
from reconciler.planner.captures import words


def run_capture(invocation: Invocation, *, name: str) -> int:
    """Ask for a version; one that failed before is tried again at once."""
    settings, doors, now = invocation.settings(), invocation.doors(), time.time()
    target = ObjectRef("Image", name)
    with doors.write_ledger(settings) as ledger:
        refuse_unknown(target, doors, settings, ledger, so="so nothing is captured")
        if settings.specs is not None:
            image = doors.load_specs(settings.specs, settings.fleet).images.get(name)
            if image is not None and not image.spec.is_captured:
                raise UsageError(
                    f"{target} is not captured from a VM, so it has no versions",
                    hint="write spec.source.vm, or name another image",
                )
        under_way = ledger.view().captures.get(name)
        if under_way is not None:
            click.echo(f"a version is being made already: {words(under_way)}")
            return 0
        for key in [key for key in ledger.view().failures if f":{target}@" in key or f":{target}:" in key]:
            ledger.clear_failure(key)
        ledger.request_capture(name, now)
        ledger.record_event(LedgerEvent(now, "", str(target), "", "capture asked for", f"by {who(None)}"))
    cancel = command_line(invocation).call("image", "cancel", name)
    click.echo(f"a version of {name} is made with the next pass: of a running daemon within seconds, else of apply")
    click.echo(f"  not after all: {cancel}", err=True)
    return 0


def run_cancel(invocation: Invocation, *, name: str) -> int:
    """Take that back, or give up what is being made."""
    settings, now = invocation.settings(), time.time()
    target = str(ObjectRef("Image", name))
    with invocation.doors().write_ledger(settings) as ledger:
        under_way = ledger.view().captures.get(name)
        if not ledger.cancel_capture(name):
            click.echo(f"no version of {name} is being made or asked for", err=True)
            return 1
        ledger.record_event(LedgerEvent(now, "", target, "", "capture cancelled", f"by {who(None)}"))
    given_up = f": {words(under_way)} is given up, and nothing is left of it" if under_way is not None else ""
    click.echo(f"no version of {name} is made{given_up}")
    return 0

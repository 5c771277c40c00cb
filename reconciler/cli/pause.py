"""`reconciler pause` and `reconciler resume`."""

from __future__ import annotations

import time

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.references import parse_reference
from reconciler.ledger.records import LedgerEvent

_FLEET = "fleet"


def run_pause(invocation: Invocation, *, target: str | None) -> int:
    """Hold changes of one object, or of everything."""
    settings = invocation.settings()
    held = _held(target)
    with invocation.doors().write_ledger(settings.state_dir) as ledger:
        if held in ledger.view().paused:
            click.echo(f"{_words(held)} was held already")
            return 0
        ledger.pause(held)
        ledger.record_event(_event(held, "paused"))
    resume = command_line(invocation).call("resume", *_argument(held))
    click.echo(f"{_words(held)} is held: nothing of it is changed until {resume}")
    return 0


def run_resume(invocation: Invocation, *, target: str | None) -> int:
    """Let changes go on."""
    settings = invocation.settings()
    held = _held(target)
    with invocation.doors().write_ledger(settings.state_dir) as ledger:
        was_held = ledger.resume(held)
        if was_held:
            ledger.record_event(_event(held, "resumed"))
        others = sorted(ledger.view().paused)
    click.echo(f"{_words(held)} goes on" if was_held else f"{_words(held)} was not held")
    if others:
        click.echo(f"  still held: {', '.join(_words(other) for other in others)}", err=True)
    return 0


def _held(target: str | None) -> str:
    return _FLEET if target is None else str(parse_reference(target))


def _words(held: str) -> str:
    return "the whole fleet" if held == _FLEET else held


def _argument(held: str) -> tuple[str, ...]:
    return () if held == _FLEET else (held,)


def _event(held: str, event: str) -> LedgerEvent:
    return LedgerEvent(at=time.time(), pass_id="", target=held, host="", event=event, message="by command")

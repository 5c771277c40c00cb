"""`reconciler pause` and `reconciler resume`."""

from __future__ import annotations

import time

import click

from reconciler.cli.command_line import command_line
from reconciler.cli.invocation import Invocation
from reconciler.cli.known_objects import refuse_unknown
from reconciler.cli.references import parse_reference
from reconciler.cli.sayings import who
from reconciler.cli.words import count
from reconciler.errors import UsageError
from reconciler.ledger.records import RESUMED, LedgerEvent

_FLEET = "fleet"


def run_pause(invocation: Invocation, *, target: str | None) -> int:
    """Hold changes of one object, or of everything."""
    settings, doors = invocation.settings(), invocation.doors()
    held = _held(target)
    with doors.write_ledger(settings) as ledger:
        is_held = held in ledger.view().paused
        if target is not None:
            try:
                refuse_unknown(parse_reference(target), doors, settings, ledger)
            except UsageError as error:
                if is_held:
                    back = command_line(invocation).call("resume", held)
                    hint = f"{error.hint}; {back} takes it back"
                    raise UsageError(f"{held} is held, and in neither the specs nor the history", hint=hint) from None
                raise
        if is_held:
            click.echo(f"{_words(held)} was held already")
            return 0
        ledger.pause(held)
        ledger.record_event(_event(held, "paused"))
    resume = command_line(invocation).call("resume", *_argument(held))
    click.echo(f"{_words(held)} is held: nothing of it is changed until {resume}")
    return 0


def run_resume(invocation: Invocation, *, target: str | None) -> int:
    """Let changes go on, and have what failed tried again without its pause."""
    settings = invocation.settings()
    held = _held(target)
    with invocation.doors().write_ledger(settings) as ledger:
        failures = [key for key in ledger.view().failures if _concerns(key, held)]
        for key in failures:
            ledger.clear_failure(key)
        was_held = ledger.resume(held)
        ran_twice = held.partition("/")[2] in ledger.view().ran_twice and held.startswith("VirtualMachine/")
        if was_held or failures or ran_twice:
            ledger.record_event(_event(held, RESUMED))
        others = sorted(ledger.view().paused)
    click.echo(_resumed(held, was_held=was_held, failures=len(failures), ran_twice=ran_twice))
    if others:
        click.echo(f"  still held: {', '.join(_words(other) for other in others)}", err=True)
    return 0


def _concerns(failure: str, held: str) -> bool:
    """Whether what failed (`start-pool:StoragePool/vms@h1`) is of the object, or on the host."""
    if held == _FLEET:
        return True
    rest = failure.partition(":")[2]
    of, _, on = rest.rpartition("@") if "@" in rest else (rest, "", "")
    return held in (of, f"Host/{on}") or of.startswith(f"{held}:")


def _resumed(held: str, *, was_held: bool, failures: int, ran_twice: bool) -> str:
    if ran_twice and not was_held and not failures:
        return f"{_words(held)}: that it ran twice is told no more"
    again = f"{count(failures, 'action')} that failed {'is' if failures == 1 else 'are'} tried again at once"
    if was_held:
        return f"{_words(held)} goes on{f'; {again}' if failures else ''}"
    if failures:
        return f"{_words(held)}: {again}, by the daemon within seconds, else by the next apply"
    return f"{_words(held)} was not held, and nothing of it had failed"


def _held(target: str | None) -> str:
    return _FLEET if target is None else str(parse_reference(target))


def _words(held: str) -> str:
    return "the whole fleet" if held == _FLEET else held


def _argument(held: str) -> tuple[str, ...]:
    return () if held == _FLEET else (held,)


def _event(held: str, event: str) -> LedgerEvent:
    return LedgerEvent(at=time.time(), pass_id="", target=held, host="", event=event, message=f"by {who(None)}")

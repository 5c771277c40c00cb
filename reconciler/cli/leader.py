"""`reconciler leader`, and the ledger that controllers share as commands see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from msgspec.structs import asdict

from reconciler.cli.invocation import Invocation
from reconciler.cli.ledger_doubts import warn_of_ledger
from reconciler.cli.tables import json_text
from reconciler.cli.terminal import stderr_terminal
from reconciler.config import Settings
from reconciler.daemon.shared_ledger import shared_ledger
from reconciler.errors import UsageError
from reconciler.leadership import candidate
from reconciler.leadership.keys import Leader
from reconciler.ledger.asking import AskingLedger
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.store import Ledger


def run(invocation: Invocation, *, json: bool, accept_store: bool, export: bool) -> int:
    """Ask etcd; 1 where nobody leads."""
    settings = invocation.settings()
    if settings.etcd is None:
        raise UsageError(
            "the ledger is a file of this machine: whoever runs here leads",
            hint="several controllers share one in etcd: name its endpoints as ledger.etcd.endpoints",
        )
    if export:
        return _export(settings)
    if accept_store:
        _accept(settings)
    leader = leader_now(settings)
    warn_of_ledger(settings)
    if json:
        click.echo(json_text({"version": 1, "leader": None if leader is None else asdict(leader)}), nl=False)
    else:
        click.echo(f"{leader} leads fleet {settings.fleet}" if leader else f"nobody leads fleet {settings.fleet}")
        if difference := difference_of_specs(settings):
            click.echo(f"{stderr_terminal().paint('warning:', 'warn', 'bold')} {difference}", err=True)
    return 0 if leader else 1


def _accept(settings: Settings) -> None:
    with shared_ledger(settings) as shared:
        prepare_state_directory(settings.state_dir)
        candidate.accept_store(shared.store, shared.keys, shared.position)
        click.echo(f"etcd at {shared.store.name} is believed as it is now, by this machine", err=True)


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

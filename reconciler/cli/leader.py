"""`reconciler leader`, and the ledger that controllers share as commands see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from msgspec.structs import asdict

from reconciler.cli.invocation import Invocation
from reconciler.cli.tables import json_text
from reconciler.config import Settings
from reconciler.daemon.shared_ledger import shared_ledger
from reconciler.errors import UsageError
from reconciler.leadership import candidate
from reconciler.leadership.keys import Leader
from reconciler.ledger.asking import AskingLedger
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.store import Ledger


def run(invocation: Invocation, *, json: bool, accept_store: bool) -> int:
    """Ask etcd; 1 where nobody leads."""
    settings = invocation.settings()
    if settings.etcd is None:
        raise UsageError(
            "the ledger is a file of this machine: whoever runs here leads",
            hint="several controllers share one in etcd: name its endpoints as ledger.etcd.endpoints",
        )
    if accept_store:
        _accept(settings)
    leader = leader_now(settings)
    if json:
        click.echo(json_text({"version": 1, "leader": None if leader is None else asdict(leader)}), nl=False)
    else:
        click.echo(f"{leader} leads fleet {settings.fleet}" if leader else f"nobody leads fleet {settings.fleet}")
    return 0 if leader else 1


def _accept(settings: Settings) -> None:
    with shared_ledger(settings) as shared:
        prepare_state_directory(settings.state_dir)
        candidate.accept_store(shared.store, shared.keys, shared.position)
        click.echo(f"etcd at {shared.store.name} is believed as it is now, by this machine", err=True)


def leader_now(settings: Settings) -> Leader | None:
    """Who leads; raises StoreUnavailable."""
    with shared_ledger(settings) as shared:
        return candidate.leader_of(shared.store, shared.keys)


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

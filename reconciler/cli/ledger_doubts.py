"""What is wrong with the ledger as a whole, told beside commands that look at it all the same."""

from __future__ import annotations

from importlib import import_module

from reconciler.cli.terminal import warn
from reconciler.config import Settings
from reconciler.ledger.left_etcd import left_etcd


def ledger_doubts(settings: Settings) -> tuple[str, ...]:
    """Why what the ledger says is not to be relied on from this machine, a sentence each; none where all is well."""
    if settings.etcd is None:
        return left_etcd(settings.state_dir)
    with import_module("reconciler.daemon.shared_ledger").shared_ledger(settings) as shared:
        doubts: tuple[str, ...] = shared.problems()
    return doubts


def warn_of_ledger(settings: Settings) -> None:
    """A line each on standard error."""
    for doubt in ledger_doubts(settings):
        warn(doubt)

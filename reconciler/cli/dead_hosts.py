"""Hosts that are proven dead, in words: they are not waited for, and nothing is unknown of their VMs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.cli.words import names
from reconciler.model.ledger import LedgerView
from reconciler.planner.lost_hosts import proven
from reconciler.planner.what_if import SUPPOSED

POWER_IT_ON: Final = "once it is mended, power it on: its old copies of VMs are removed before it is used again"
"""What is left to do for a host that is proven dead."""
_NAMED: Final = 6


def dead_hosts(ledger: LedgerView, hosts: Iterable[str]) -> Mapping[str, str]:
    """Those of `hosts` that are proven dead, not only supposed to be, each with what became of its VMs."""
    return {host: _words(ledger, host) for host in hosts if proven(ledger, host) and not _is_supposed(ledger, host)}


def _is_supposed(ledger: LedgerView, host: str) -> bool:
    health = ledger.health.get(host)
    return health is not None and health.rule == SUPPOSED


def _words(ledger: LedgerView, host: str) -> str:
    left = sorted(vm for vm, placement in ledger.placements.items() if placement.host == host)
    if not left:
        return "proven dead; none of the VMs is placed there any more"
    return f"proven dead; not elsewhere yet: {names(left, most=_NAMED)}"

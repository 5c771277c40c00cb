"""From the last sign of life of a host to its VMs running elsewhere: one incident out of two histories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from reconciler.ledger import records
from reconciler.ledger.records import LedgerEvent

_DONE: Final = {"define-domain done": records.VM_DEFINED, "start-domain done": records.VM_RUNNING}
"""What the end of an action is called where it ends an incident for a VM."""
_OF_HOST: Final = (
    records.HOST_LAST_SEEN,
    records.HOST_SUSPECT,
    records.HOST_UNREACHABLE,
    records.FENCE_BEGAN,
    records.FENCE_PROOF,
    records.HOST_RETURNED,
    records.HOST_ONLINE,
)


def lost_host(events: Iterable[LedgerEvent]) -> str:
    """The host whose loss a VM's history (newest first) tells of last; empty if none."""
    return next((event.host for event in events if event.event == records.HOST_UNREACHABLE), "")


def timeline_of_vm(events: Sequence[LedgerEvent], of_host: Sequence[LedgerEvent]) -> tuple[LedgerEvent, ...]:
    """The last loss of the VM's host, oldest first, out of its history and the host's (newest first)."""
    begun = _beginning(events)
    if begun is None:
        return ()
    own = [replace(event, event=_DONE.get(event.event, event.event)) for event in reversed(events)]
    fencing = [event for event in reversed(of_host) if event.event in (records.FENCE_BEGAN, records.FENCE_PROOF)]
    wanted = {*_OF_HOST, *_DONE.values()}
    told = sorted(
        (event for event in (*own, *fencing) if event.event in wanted and event.at >= begun), key=lambda event: event.at
    )
    names = [event.event for event in told]
    end = names.index(records.VM_RUNNING) + 1 if records.VM_RUNNING in names else len(names)
    return _first_of_each(told[:end])


def timeline_of_host(events: Sequence[LedgerEvent]) -> tuple[LedgerEvent, ...]:
    """The last loss of a host, oldest first, out of its history (newest first)."""
    begun = _beginning(events)
    told = [event for event in reversed(events) if begun is not None and event.at >= begun and event.event in _OF_HOST]
    return _first_of_each(sorted(told, key=lambda event: event.at))


def _beginning(events: Sequence[LedgerEvent]) -> float | None:
    """Wall time of the last sign of life before the host was last found unreachable."""
    names = [event.event for event in events]
    if records.HOST_UNREACHABLE not in names:
        return None
    lost = names.index(records.HOST_UNREACHABLE)
    before = (event.at for event in events[lost:] if event.event == records.HOST_LAST_SEEN)
    return min(next(before, events[lost].at), events[lost].at)


def _first_of_each(events: Iterable[LedgerEvent]) -> tuple[LedgerEvent, ...]:
    first: dict[str, LedgerEvent] = {}
    for event in events:
        first.setdefault(event.event, event)
    return tuple(first.values())

"""What is known of hosts that are, or were, out of reach: dead for certain, fit for new VMs, clean of old copies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from reconciler.model.health import HostState
from reconciler.model.identity import marked_uuid
from reconciler.model.inventory import HostInventory
from reconciler.model.ledger import LedgerView, Placement
from reconciler.planner.ownership import Copy

_SILENT: Final[frozenset[HostState]] = frozenset({"unreachable", "fencing", "fenced"})
"""States in which a proof counts; of a host that answers, hesitates, or was not looked at yet, it is of before."""
_NOT_FOR_NEW_VMS: Final[Mapping[HostState, str]] = {
    "suspect": "it does not answer its probes",
    "unreachable": "it is unreachable",
    "fencing": "it is being fenced",
    "fenced": "it was fenced",
    "returning": "it is back and not clean yet",
    "quarantined": "another machine answers under its name",
}


def proven(ledger: LedgerView, host: str) -> bool:
    """Whether the proof of the open incident of `host` stands: it can't be running its VMs."""
    incident, proof, health = ledger.incidents.get(host), ledger.proofs.get(host), ledger.health.get(host)
    return (
        incident is not None
        and proof is not None
        and proof.incident == incident.id
        and (health is None or health.state in _SILENT)
    )


def possible_homes(placement: Placement) -> tuple[str, ...]:
    """Hosts that the VM may be on for all we know: where it was put, after where it was recovered from.

    The latter counts until the VM is seen to run where it was put.
    """
    return (placement.host,) if placement.came_from is None else (placement.came_from, placement.host)


def decisive_home(placement: Placement, ledger: LedgerView, read: Collection[str]) -> str | None:
    """The host that a VM which is nowhere in sight waits for, or is recovered from; None where all were `read`.

    One that is not proven dead decides, whatever is known of the other.
    """
    unseen = [home for home in possible_homes(placement) if home not in read]
    return next((home for home in unseen if not proven(ledger, home)), unseen[-1] if unseen else None)


def dead_hosts(ledger: LedgerView, hosts: Iterable[str], read: Collection[str]) -> frozenset[str]:
    """Those of `hosts` that VMs may be recovered from now: proven dead and silent; none in the quiet period."""
    if ledger.quiet or not ledger.proofs:
        return frozenset()
    return frozenset(host for host in hosts if host not in read and proven(ledger, host))


def is_quarantined(ledger: LedgerView, host: str) -> bool:
    """Whether another machine answers under the name of `host`: what is read of it is not what the specs mean."""
    health = ledger.health.get(host)
    return health is not None and health.state == "quarantined"


def unfit_for_new_vms(ledger: LedgerView, host: str) -> str:
    """Why a host that answers takes no new VM; empty where its health does not stand in the way."""
    health = ledger.health.get(host)
    if health is not None and health.state in _NOT_FOR_NEW_VMS:
        return _NOT_FOR_NEW_VMS[health.state]
    return _NOT_FOR_NEW_VMS["returning"] if host in ledger.incidents else ""


def stale_copies(copies: tuple[Copy, ...], placement: Placement, incidents: Mapping[str, object]) -> tuple[Copy, ...]:
    """Copies that are surely not the true one: of a lower epoch, and elsewhere than the VM was placed.

    That is certain where the true copy is in sight with its epoch, or where the old ones are on hosts that were lost:
    the VM was placed elsewhere because of that. It is not where marks have equal epochs, which only people can make.
    """
    true = next((copy.mark.epoch for copy in copies if copy.host == placement.host), None)
    reached = placement.reached_by(true)
    old = tuple(copy for copy in copies if copy.host != placement.host and placement.outdates(copy.mark.epoch, true))
    others = [copy for copy in copies if copy not in old]
    in_place = [copy for copy in others if copy.host == placement.host]
    if len(in_place) != len(others):
        return ()
    if in_place:
        return old if in_place[0].mark.epoch >= reached else ()
    return old if all(copy.host in incidents for copy in old) else ()


def is_clean(host: str, inventory: HostInventory, ledger: LedgerView, fleet: str) -> bool:
    """Whether `host`, as it was read, has no copy of a VM that was placed elsewhere: then its incident may end."""
    for domain in inventory.domains.values():
        mark = domain.config.mark
        if mark is None or mark.fleet != fleet or domain.uuid != marked_uuid(mark):
            continue
        placement = ledger.placements.get(mark.vm)
        if placement is not None and placement.host != host and mark.epoch <= placement.epoch:
            return False
    return True

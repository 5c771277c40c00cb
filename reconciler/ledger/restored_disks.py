"""What the definitions of domains tell of restores: a lost ledger, or one that was cut off, learns it from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model.identity import marked_uuid, parse_disk_volume
from reconciler.model.inventory import Inventory, ObservedDomain
from reconciler.model.ledger import LedgerView, RestoreDone
from reconciler.model.restores import number_of, value_of


class RestoredVm(Struct, frozen=True):
    """What the ledger does not know of one VM."""

    done: RestoreDone | None = None
    volumes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By VM and disk."""


def unrecorded_restores(
    view: LedgerView, inventory: Inventory, fleet: str, now: float, in_flight: frozenset[str] = frozenset()
) -> tuple[RestoredVm, ...]:
    """Restored disks that definitions name and the ledger does not, and restores that marks say were done.

    Definitions of copies that the ledger knows to be old, or on their way, tell nothing.
    """
    found = []
    for vm, domain in _true_copies(view, inventory, fleet, in_flight):
        mark, known = domain.config.mark, view.restores.get(vm)
        said, last = mark.restore if mark is not None else "", known.done if known is not None else ""
        if number_of(said) < number_of(last):
            continue  # it was read before that was done
        volumes = dict(_volumes(view, domain, fleet, vm))
        done = None
        if number_of(said) > number_of(last):
            source = next((made.source for made in view.restoring.get(vm, ()) if made.value == value_of(said)), "")
            done = RestoreDone(vm, said, now, source)
        if volumes or done is not None:
            found.append(RestoredVm(done, volumes))
    return tuple(found)


def with_restores(view: LedgerView, found: tuple[RestoredVm, ...]) -> LedgerView:
    """The view as it is once `found` is on record."""
    if not found:
        return view
    volumes = {key: volume for vm in found for key, volume in vm.volumes.items()}
    used = frozenset(volumes.values())
    return replace(
        view,
        disk_volumes={**view.disk_volumes, **volumes},
        restores={**view.restores, **{vm.done.vm: vm.done for vm in found if vm.done is not None}},
        restoring={
            name: left
            for name, disks in view.restoring.items()
            if (left := tuple(disk for disk in disks if disk.volume not in used))
        },
        intents=frozenset(intent for intent in view.intents if intent.volume not in used),
    )


def _true_copies(
    view: LedgerView, inventory: Inventory, fleet: str, in_flight: frozenset[str]
) -> Iterator[tuple[str, ObservedDomain]]:
    best: dict[str, tuple[int, str, ObservedDomain]] = {}
    for host in sorted(inventory.hosts):
        for domain in inventory.hosts[host].domains.values():
            mark = domain.config.mark
            if mark is None or mark.fleet != fleet or domain.uuid != marked_uuid(mark) or domain.is_on_its_way:
                continue
            placement = view.placements.get(mark.vm)
            is_old = placement is not None and placement.host != host and placement.epoch >= mark.epoch
            if is_old or f"VirtualMachine/{mark.vm}" in in_flight or mark.vm in view.migrations:
                continue
            if mark.vm not in best or best[mark.vm][0] < mark.epoch:
                best[mark.vm] = (mark.epoch, host, domain)
    for vm, (_epoch, _host, domain) in best.items():
        yield vm, domain


def _volumes(view: LedgerView, domain: ObservedDomain, fleet: str, vm: str) -> Iterator[tuple[tuple[str, str], str]]:
    for disk in domain.config.disks:
        volume = disk.path.rpartition("/")[2]
        said = parse_disk_volume(fleet, volume)
        mark = domain.config.mark
        if said is None or mark is None or said.vm != mark.made_as:
            continue
        known = view.disk_volumes.get((vm, said.disk))
        if known != volume and (said.generation or known is not None or said.vm != vm):
            yield (vm, said.disk), volume

"""Whose each observed domain is: a copy of one of our VMs, or foreign."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field

from reconciler.model.domain import OwnershipMark
from reconciler.model.identity import marked_uuid
from reconciler.model.inventory import HostInventory, ObservedDomain


class Copy(Struct, frozen=True):
    """One managed domain of a VM."""

    host: str
    domain: ObservedDomain
    mark: OwnershipMark

    @property
    def is_on_its_way(self) -> bool:
        """Whether it waits for a guest that still runs on another host, or has just been sent to one."""
        return self.domain.is_on_its_way


class Place(Struct, frozen=True, order=True):
    """A foreign domain."""

    host: str
    domain: str


class Foreign(Struct, frozen=True):
    """Domains that are never touched, by what could collide with ours; hosts in order."""

    impostors: Mapping[str, tuple[Copy, ...]] = field(default_factory=dict)
    """By VM: domains with its mark, but another name or UUID (`virt-clone`, `domrename`)."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name of the domain → hosts."""
    uuids: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    macs: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    paths: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)
    """Path of a disk or seed → the domains that refer to it."""


def sort_domains(
    hosts: Mapping[str, HostInventory], fleet: str, to_rename: Mapping[str, str] = MappingProxyType({})
) -> tuple[dict[str, tuple[Copy, ...]], Foreign]:
    """Copies of our VMs by name, and all other domains; what is being renamed may have either name."""
    copies: dict[str, list[Copy]] = {}
    impostors: dict[str, list[Copy]] = {}
    others: list[tuple[str, ObservedDomain]] = []
    for host in sorted(hosts):
        for domain in sorted(hosts[host].domains.values(), key=lambda found: found.name):
            mark = domain.config.mark
            if mark is None or mark.fleet != fleet:
                others.append((host, domain))
            elif domain.name in (mark.vm, to_rename.get(mark.vm)) and domain.uuid == marked_uuid(mark):
                copies.setdefault(mark.vm, []).append(Copy(host, domain, mark))
            else:
                impostors.setdefault(mark.vm, []).append(Copy(host, domain, mark))
                others.append((host, domain))
    foreign = _index(others, {vm: tuple(found) for vm, found in impostors.items()})
    return {vm: tuple(found) for vm, found in copies.items()}, foreign


def _index(others: list[tuple[str, ObservedDomain]], impostors: dict[str, tuple[Copy, ...]]) -> Foreign:
    names: dict[str, list[str]] = {}
    uuids: dict[str, set[Place]] = {}
    macs: dict[str, set[Place]] = {}
    paths: dict[str, set[Place]] = {}
    for host, domain in others:
        place = Place(host, domain.name)
        names.setdefault(domain.name, []).append(host)
        uuids.setdefault(domain.uuid, set()).add(place)
        for config in (domain.config, domain.live):
            if config is not None:
                for nic in config.nics:
                    macs.setdefault(nic.mac, set()).add(place)
                for disk in (*config.disks, *((config.seed,) if config.seed else ())):
                    paths.setdefault(disk.path, set()).add(place)
    return Foreign(
        impostors=impostors,
        names={name: tuple(found) for name, found in names.items()},
        uuids=_sorted(uuids),
        macs=_sorted(macs),
        paths=_sorted(paths),
    )


def _sorted(index: dict[str, set[Place]]) -> dict[str, tuple[Place, ...]]:
    return {key: tuple(sorted(places)) for key, places in index.items()}

"""Checks across files: references, names and addresses claimed twice, disks that don't hold their image."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network

from reconciler.model.identity import effective_macs
from reconciler.model.quantities import format_size
from reconciler.model.resource import HostSelector, Kind, ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.catalog import Catalog, Found
from reconciler.specfiles.objects import SpecObject
from reconciler.specfiles.places import Finding, Path
from reconciler.specfiles.problem_codes import Code


def doubled_names(claimants: Iterable[Sequence[SpecObject]]) -> Found:
    """All objects that share their kind and name with another."""
    for group in claimants:
        if len(group) > 1:
            yield from _each_names_the_others(group, "S030", ("metadata", "name"), "this name")


def doubled_origins(catalog: Catalog) -> Found:
    """VMs that are to have been what another one is or was: it keeps its UUID and volumes, and nobody else has them."""
    if all(vm.metadata.previous_name is None for _, vm in catalog.vms):
        return
    claims: dict[str, list[tuple[SpecObject, VirtualMachine]]] = defaultdict(list)
    for item, vm in catalog.vms:
        for name in sorted({vm.name, vm.metadata.origin}):
            claims[name].append((item, vm))
    for name, group in claims.items():
        for item, vm in group if len(group) > 1 else ():
            others = [other for other, _ in group if other is not item]
            places = ", ".join(f"{other.ref} at {other.where.file}:{other.where.line}" for other in others)
            field = "name" if vm.name == name else "previousName"
            message = f"{places} is {name}, or was made as that and has the UUID and volumes of that name"
            yield item, Finding("S030", ("metadata", field), f"{message}; write another {field}")


def doubled_macs(catalog: Catalog) -> Found:
    """All VMs with a MAC that another card has too, written or derived."""
    cards: dict[str, list[tuple[SpecObject, int]]] = {}
    for item, vm in catalog.vms:
        for index, mac in enumerate(effective_macs(catalog.fleet, vm)):
            cards.setdefault(mac, []).append((item, index))
    for mac, group in cards.items():
        if len(group) < 2:
            continue
        for item, index in group:
            others = ", ".join(str(other.ref) for other, number in group if (other, number) != (item, index))
            message = f"{mac} is also the address of {others}; write another mac for one of them"
            yield item, Finding("S031", ("spec", "networks", index, "mac"), message)


def selected_hosts(catalog: Catalog) -> Found:
    """Hosts that a pool or network names, but that are not in the specs."""
    choosers = [(item, pool.spec.hosts) for item, pool in catalog.pools]
    choosers += [(item, network.spec.hosts) for item, network in catalog.networks]
    for item, selector in choosers:
        for index, host in enumerate(selector.names):
            yield from _refer(catalog, item, "Host", host, ("spec", "hosts", "names", index))


def references(catalog: Catalog) -> Found:
    """Objects that a VM names, but that are not in the specs, or that have errors themselves."""
    for item, vm in catalog.vms:
        for index, disk in enumerate(vm.spec.disks):
            path = ("spec", "disks", index)
            yield from _refer(catalog, item, "StoragePool", disk.pool, (*path, "pool"))
            if disk.image is not None:
                yield from _refer(catalog, item, "Image", disk.image_name or "", (*path, "image"))
                yield from _version_of(catalog, item, disk.image, (*path, "image"))
        for index, nic in enumerate(vm.spec.networks):
            if nic.network is not None:
                yield from _refer(catalog, item, "Network", nic.network, ("spec", "networks", index, "network"))
        for index, host in enumerate(vm.spec.placement.hosts):
            yield from _refer(catalog, item, "Host", host, ("spec", "placement", "hosts", index))


def _version_of(catalog: Catalog, item: SpecObject, image: str, path: Path) -> Found:
    """A captured image has versions, one of which has to be named; others have none."""
    name, _, version = image.partition("@")
    known = next((found for _, found in catalog.images if found.name == name), None)
    if known is not None and known.spec.is_captured != bool(version):
        way = (
            f"Image/{name} is captured from a VM and has versions; write {name}@latest or {name}@2026-11-22T02:00Z"
            if known.spec.is_captured
            else f"Image/{name} is not captured from a VM and has no versions; write {name}"
        )
        yield item, Finding("S032", path, way)


def pools_of_versions(catalog: Catalog) -> Found:
    """Pools that captured images name for their versions, but that are not in the specs, or hold no files."""
    logical = {pool.name for _, pool in catalog.pools if pool.spec.type == "logical"}
    for item, image in catalog.images:
        pool = image.spec.pool
        if pool is None:
            continue
        yield from _refer(catalog, item, "StoragePool", pool, ("spec", "pool"))
        if pool in logical:
            message = f"StoragePool/{pool} is logical, and versions are files; name a pool of files"
            yield item, Finding("S043", ("spec", "pool"), message)


def small_disks(catalog: Catalog) -> Found:
    """Disks that don't hold their image."""
    if not catalog.image_sizes:
        return
    for item, vm in catalog.vms:
        for index, disk in enumerate(vm.spec.disks):
            path = ("spec", "disks", index)
            least = catalog.image_sizes.get(disk.image or "")
            if least is not None and disk.size is not None and disk.size < least:
                message = (
                    f"{format_size(disk.size)} is less than the {format_size(least)} of Image/{disk.image};"
                    f" write {_next_gib(least)} or more, or leave size out"
                )
                yield item, Finding("S033", (*path, "size"), message)


def unfit_pools(catalog: Catalog) -> Found:
    """Disks that their pool can't hold."""
    logical = {pool.name for _, pool in catalog.pools if pool.spec.type == "logical"}
    if not logical:
        return
    for item, vm in catalog.vms:
        for index, disk in enumerate(vm.spec.disks):
            if disk.pool in logical and disk.format != "raw":
                message = (
                    f"StoragePool/{disk.pool} is logical and holds raw disks only; write format: raw and clone: full"
                )
                yield item, Finding("S043", ("spec", "disks", index, "pool"), message)


def doubled_uris(catalog: Catalog) -> Found:
    """Hosts that are one machine."""
    uris: dict[str, list[SpecObject]] = defaultdict(list)
    for item, host in catalog.hosts:
        uris[host.spec.uri].append(item)
    for group in uris.values():
        if len(group) > 1:
            yield from _each_names_the_others(group, "S037", ("spec", "uri"), "this URI")


def doubled_targets(catalog: Catalog) -> Found:
    """Pools with one directory on one host."""
    targets: dict[str, list[tuple[SpecObject, HostSelector]]] = defaultdict(list)
    for item, pool in catalog.pools:
        if pool.spec.target is not None and pool.spec.type != "existing":
            targets[pool.spec.target.rstrip("/")].append((item, pool.spec.hosts))
    for claims in targets.values():
        if len(claims) > 1 and _meet([catalog.pool_hosts[item.resource.name] for item, _ in claims if item.resource]):
            yield from _each_names_the_others(
                [item for item, _ in claims], "S037", ("spec", "target"), "this directory"
            )


def overlapping_networks(catalog: Catalog) -> Found:
    """Networks with common addresses on one host."""
    subnets = [(item, net.name, IPv4Network(net.spec.subnet)) for item, net in catalog.networks if net.spec.subnet]
    subnets.sort(key=lambda entry: (int(entry[2].network_address), entry[1]))
    for (one, first, a), (other, second, b) in itertools.pairwise(subnets):
        if a.overlaps(b) and catalog.network_hosts[first] & catalog.network_hosts[second]:
            yield from _each_names_the_others([one, other], "S037", ("spec", "subnet"), "addresses of this subnet")


def _meet(groups: Sequence[frozenset[str]]) -> bool:
    return any(one & other for one, other in itertools.combinations(groups, 2))


def _each_names_the_others(group: Sequence[SpecObject], code: Code, path: Path, what: str) -> Found:
    for item in group:
        others = [other for other in group if other is not item]
        places = ", ".join(f"{other.ref} at {other.where.file}:{other.where.line}" for other in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        yield (
            item,
            Finding(code, path, f"{what} is also claimed by {places}{more}; none of them is used until one is left"),
        )


def _refer(catalog: Catalog, item: SpecObject, kind: Kind, name: str, path: Path) -> Found:
    ref = ObjectRef(kind, name)
    if ref in catalog.objects or ref in catalog.remembered:
        return
    if catalog.may_have(ref):
        yield item, Finding("S044", path, f"{ref} has errors; mend it first")
        return
    message, suggestion = catalog.advice_on(ref)
    yield item, Finding("S032", path, message, suggestion=suggestion)


def _next_gib(size: int) -> str:
    return f"{-(-size // (1 << 30))}GiB"


def refused_images(images: Mapping[ObjectRef, SpecObject], sizes: Mapping[str, int | Finding]) -> Found:
    """Images whose file was inspected and is not there, or not what it should be."""
    for name, size in sizes.items():
        item = images.get(ObjectRef("Image", name))
        if item is not None and isinstance(size, Finding):
            yield item, size

"""Domains in a VM's place that are not managed: whose they are as far as it can be told, and what people can do."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import ObservedDomain
from reconciler.planner.world import World


class Stranger(Struct, frozen=True):
    """One that is left alone, and the way out."""

    host: str
    detail: str
    hint: str


def namesake(world: World, vm: str) -> Stranger | None:
    """The domain that has the name of `vm` and is not managed here."""
    hosts = world.foreign.names.get(vm, ())
    if not hosts:
        return None
    host = hosts[0]
    domain = _named(world, host, vm)
    mark = domain.config.mark
    if mark is not None and mark.fleet != world.fleet:
        detail = f"domain {vm} on {host} is managed as fleet {mark.fleet}'s, and this is fleet {world.fleet}"
        way_out = f"if that is the same fleet, write fleet: {mark.fleet} into the configuration: a VM can't change its"
        return Stranger(host, f"{detail}; it is left alone", f"{way_out} fleet; else rename one of the two")
    if mark is None and domain.uuid == vm_uuid(world.fleet, vm):
        detail = f"domain {vm} on {host} is this VM without its mark, so it is not managed any more; it is left alone"
        return Stranger(host, detail, f"{_back(world, host, domain)}; to leave it so, take it out of the specs")
    off = "once it is off, " if domain.active else ""
    command = f"{_virsh(world, host)} domrename {vm} {vm}-old"
    detail = f"an unmanaged domain of this name is on {', '.join(hosts)}; it is left alone"
    take = f"to take it over: reconciler adopt {host} {vm}; else " if mark is None else ""
    return Stranger(host, detail, f"{take}rename the VM in its spec, or {off}the domain: {command}")


def heir(world: World, vm: str) -> Stranger | None:
    """The domain of another name that has the UUID of `vm`, and no mark."""
    uuid = vm_uuid(world.fleet, vm)
    for place in world.foreign.uuids.get(uuid, ()):
        domain = _named(world, place.host, place.domain)
        return Stranger(
            place.host,
            f"domain {place.domain} on {place.host} has this VM's UUID and no mark; it is left alone",
            f"{_back(world, place.host, domain)}; to leave it so, take the VM out of the specs",
        )
    return None


def _back(world: World, host: str, domain: ObservedDomain) -> str:
    """How what lost its mark is managed again: its disks stay where they are, and the VM is made on them."""
    virsh = _virsh(world, host)
    first = f"shut it down: {virsh} shutdown {domain.name}, then: " if domain.active else ""
    return f"to have it made again on its disks, {first}{virsh} undefine {domain.name}"


def _named(world: World, host: str, name: str) -> ObservedDomain:
    return next(domain for domain in world.inventory.hosts[host].domains.values() if domain.name == name)


def _virsh(world: World, host: str) -> str:
    return f"virsh -c {world.desired.hosts[host].spec.uri}"

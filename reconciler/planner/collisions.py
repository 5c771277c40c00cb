"""What a VM would have in common with a domain that is not ours: a disk, a MAC."""

from __future__ import annotations

from reconciler.model.domain import DomainConfig
from reconciler.model.identity import effective_macs
from reconciler.model.plan import Severity
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.ownership import Place
from reconciler.planner.world import World


def report_disk_collision(world: World, draft: Draft, vm: VirtualMachine, config: DomainConfig, host: str) -> bool:
    """Say which foreign domain has a disk of `vm`; return whether there is one. Two writers would destroy the data."""
    paths = world.foreign.paths
    if not paths:
        return False
    for disk, wanted in zip(vm.spec.disks, config.disks, strict=True):
        user = disk_user(world, disk.pool, wanted.path, host)
        if user is not None:
            _report(
                draft,
                vm,
                user,
                f"domain {user.domain} on {user.host} has disk {disk.name} ({wanted.path}); two writers destroy it",
                "detach the disk from that domain, or remove that domain",
                "blocked",
            )
            return True
    return False


def disk_user(world: World, pool: str, path: str, host: str) -> Place | None:
    """The foreign domain that refers to the disk at `path` of `pool` as `host` sees it; None if there is none."""
    for place in world.foreign.paths.get(path, ()):
        if place.host == host or world.is_shared(pool):
            return place
    return None


def report_mac_collision(world: World, draft: Draft, vm: VirtualMachine, host: str) -> None:
    """Say which foreign domain on the same host has a MAC of `vm`."""
    macs = world.foreign.macs
    if not macs:
        return
    for mac in effective_macs(world.fleet, vm):
        for place in macs.get(mac, ()):
            if place.host == host:
                _report(
                    draft,
                    vm,
                    place,
                    f"domain {place.domain} on {place.host} has the same MAC {mac}; both will lose packets",
                    "write another mac for one of the two",
                    "info",
                )


def _report(draft: Draft, vm: VirtualMachine, place: Place, detail: str, hint: str, severity: Severity) -> None:
    target = ObjectRef("VirtualMachine", vm.name)
    draft.wait(target, "conflict", detail, severity=severity, host=place.host, hint=hint)

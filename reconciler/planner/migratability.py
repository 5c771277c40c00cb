"""Whether a VM can go to another host as it runs, or why not."""

from __future__ import annotations

from typing import Final

from reconciler.model.abilities import CpuQuestion, HostAbilities
from reconciler.model.fleet_cpu import cpu_at_boot
from reconciler.model.quantities import approximate_size
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.facilities import Facilities
from reconciler.planner.ownership import Copy
from reconciler.planner.peers import peer_uri
from reconciler.planner.placement import Room, reject
from reconciler.planner.world import World

_BOUND_TO_ITS_HOST: Final = ("hostdev", "filesystem", "shmem", "disk ", "interface ", "os ", "smartcard", "redirdev")
"""What of `ObservedDomain.restricted` is, or may be, on that host alone: devices, files, bridges."""
_STATES: Final = {
    "paused": "its guest is paused",
    "shutdown": "its guest is shutting down",
    "pmsuspended": "its guest sleeps",
}


def obstacle(world: World, facilities: Facilities, vm: VirtualMachine, copy: Copy, room: Room) -> str:
    """Why `vm`, which is `copy`, can't go to the room's host; empty if it can. The first that says no is the reason.

    Whether it can leave its own host at all is asked before (`bound`).
    """
    return (
        reject(world, facilities, vm, room)
        or _route(world, copy.host, room.host.name)
        or _hypervisor(world, copy, room.host.name)
        or _local_disks(world, vm, copy.host, room.host.name)
    )


def as_it_runs(vm: VirtualMachine, copy: Copy) -> VirtualMachine:
    """`vm` with the memory and CPUs that it has, where that is more than its spec wants from its next boot on."""
    running, spec = copy.domain.running_config, vm.spec
    memory, cpus = max(running.max_memory, spec.memory_ceiling), max(running.vcpus, spec.cpu.count)
    if (memory, cpus) == (spec.memory_ceiling, spec.cpu.count):
        return vm
    cpu = spec.cpu.model_copy(update={"count": cpus, "max": max(cpus, spec.cpu.max or 0)})
    return vm.model_copy(update={"spec": spec.model_copy(update={"max_memory": memory, "cpu": cpu})})


def bound(copy: Copy) -> str:
    """Why it can't leave its host, wherever it would go; empty if it can."""
    devices = [found for found in copy.domain.restricted if found.startswith(_BOUND_TO_ITS_HOST)]
    if devices:
        return f"{', '.join(devices)} can't be moved"
    if copy.domain.state in ("running", "shutoff"):
        return ""
    return _STATES.get(copy.domain.state, f"it is {copy.domain.state}")


def _route(world: World, source: str, target: str) -> str:
    """Hosts speak to one another for a migration: an address that means the machine itself is of no use there."""
    local = peer_uri(world.desired.hosts[target]) is None
    return f"{source} can't reach it: its uri is good on the controller alone (see peerUri)" if local else ""


def _hypervisor(world: World, copy: Copy, target: str) -> str:
    host = world.inventory.hosts[target]
    there = host.abilities
    if there is None:
        return host.unsaid("what its hypervisor can do")
    running = copy.domain.running_config
    machines = there.machines.get(running.domain_type)
    if machines and running.machine not in machines:
        return f"no machine type {running.machine}"
    return _cpu(world.inventory.hosts[copy.host].abilities, there, copy)


def _cpu(here: HostAbilities | None, there: HostAbilities, copy: Copy) -> str:
    """Of what is off only that is asked for which a host lacks for certain; the rest is as for a new VM."""
    kind = copy.domain.config.domain_type
    cpu = copy.domain.cpu if copy.domain.active else cpu_at_boot(copy.domain.config)
    if cpu is None:
        return ""
    if cpu.mode in ("host-passthrough", "maximum"):
        same = here is not None and here.cpus.get(kind) == there.cpus.get(kind)
        return "" if same else f"another CPU, and it has that of its host ({cpu.mode})"
    return _asked(there, CpuQuestion(cpu, kind)) if cpu.is_bound else ""


def _asked(host: HostAbilities, question: CpuQuestion) -> str:
    lacking = host.lacks(question)
    return "it has not said whether it has that CPU" if lacking is None else lacking


def _local_disks(world: World, vm: VirtualMachine, source: str, target: str) -> str:
    """They go along as copies: there has to be room for them, and nothing of their names."""
    wanted: dict[str, int] = {}
    for disk in vm.spec.disks:
        if world.is_shared(disk.pool):
            continue
        here, there = world.observed_pool(disk.pool, source), world.observed_pool(disk.pool, target)
        name = world.disk_volume(vm.name, disk)
        if there is None or there.volumes is None or here is None or here.volumes is None:
            return f"pool {disk.pool} could not be looked at"
        if name in there.volumes:
            return f"a disk {disk.name} of it is there already"
        known = here.volumes.get(name)
        wanted[disk.pool] = wanted.get(disk.pool, 0) + (known.capacity if known else disk.size or 0)
        lacking = wanted[disk.pool] - there.available
        if lacking > 0:
            return f"pool {disk.pool} −{approximate_size(lacking)}"
    return ""

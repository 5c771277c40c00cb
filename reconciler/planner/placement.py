"""Where a new VM goes: filters that say why not, then a score; the same input gives the same host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct, field

from reconciler.model.abilities import CpuQuestion
from reconciler.model.fleet_cpu import FLEET_BASELINE, cpu_of_text, is_cpu_text
from reconciler.model.host import Host
from reconciler.model.identity import base_volume
from reconciler.model.inventory import HostInventory
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import Labels, ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.facilities import Facilities
from reconciler.planner.image_distribution import image_digest, is_complete
from reconciler.planner.lost_hosts import unfit_for_new_vms
from reconciler.planner.world import World

_LOCALITY_BONUS: Final = 0.05
_SPREAD_PENALTY: Final = 1.0
_NONE_BARRED: Final[Mapping[str, str]] = {}


_Needs = tuple[object, ...]
"""All of a VM that decides where it may be, but for its size and its neighbours: equal VMs are looked at once."""


class Room(Struct):
    """What one host has left, in bytes and virtual CPUs; shrinks as the plan places VMs."""

    host: Host
    memory_total: float
    cpus_total: float
    memory_free: float
    cpus_free: float
    labels_there: list[Labels]
    """Labels of the VMs on it."""
    fitness: dict[_Needs, tuple[str, bool]] = field(default_factory=dict)
    """What is known already of VMs with these needs: why they can't be here, and whether their images are here."""

    def take(self, vm: VirtualMachine) -> None:
        """Promise room to `vm`."""
        self.memory_free -= vm.spec.memory_ceiling
        self.cpus_free -= vm.spec.cpu.count
        self.labels_there.append(vm.metadata.labels)


class Verdict(Struct, frozen=True):
    """The host that was chosen, or why each was rejected (in order of names)."""

    host: str | None
    rejections: tuple[tuple[str, str], ...]


def make_rooms(world: World) -> dict[str, Room]:
    """Room on every host that was read, in order of names."""
    return {
        name: _room(world, world.desired.hosts[name], world.inventory.hosts[name])
        for name in sorted(world.inventory.hosts)
    }


def _room(world: World, host: Host, observed: HostInventory) -> Room:
    spec = host.spec
    memory = observed.facts.memory * spec.overcommit.memory - spec.reserved.memory
    cpus = vcpus_to_give(host, observed)
    room = Room(host, memory, cpus, memory, cpus, [])
    for domain in observed.domains.values():
        mark = domain.config.mark
        vm = world.desired.vms.get(mark.vm) if mark is not None and mark.fleet == world.fleet else None
        if domain.active or (vm is not None and vm.spec.run_strategy != "Halted"):
            running = domain.running_config
            room.memory_free -= max(running.max_memory, domain.config.max_memory)
            room.cpus_free -= max(running.vcpus, domain.config.vcpus)
        if vm is not None:
            room.labels_there.append(vm.metadata.labels)
    for move in world.ledger.migrations.values():
        vm = world.desired.vms.get(move.vm)
        # What left a host that is silent now has its half here, or was lost and wants the room anew.
        is_coming = move.target == host.name and move.source in world.inventory.hosts
        if vm is not None and is_coming and move.vm not in observed.domains:
            room.take(vm)
    return room


def vcpus_to_give(host: Host, observed: HostInventory) -> float:
    """Virtual CPUs that all VMs of the host may have together."""
    return max(0, observed.facts.cpus - host.spec.reserved.cpus) * host.spec.overcommit.cpu


def has_all(labels: Labels, wanted: Labels) -> bool:
    """Whether `labels` has every pair of `wanted`."""
    return all(labels.get(key) == value for key, value in wanted.items())


_Filter = Callable[[World, Facilities, VirtualMachine, Room], str]


def _state(world: World, _facilities: Facilities, _vm: VirtualMachine, room: Room) -> str:
    if room.host.spec.state != "active":
        return room.host.spec.state
    unfit = unfit_for_new_vms(world.ledger, room.host.name)
    if unfit:
        return unfit
    return "paused" if world.is_paused(ObjectRef("Host", room.host.name)) else ""


def _pinned(_world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    hosts = vm.spec.placement.hosts
    return "" if not hosts or room.host.name in hosts else "not in placement.hosts"


def _selected(_world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    missing = [
        f"{key}={value}"
        for key, value in sorted(vm.spec.placement.node_selector.items())
        if room.host.metadata.labels.get(key) != value
    ]
    return f"no label {' '.join(missing)}" if missing else ""


def _virtualisation(world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    types = world.inventory.hosts[room.host.name].facts.domain_types
    return "" if not types or vm.spec.domain_type in types else f"no {vm.spec.domain_type}"


def _pools(world: World, facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    for disk in vm.spec.disks:
        if not facilities.has_pool(disk.pool, room.host.name):
            trouble = facilities.trouble.get(("StoragePool", disk.pool, room.host.name))
            return f"pool {disk.pool}: {trouble}" if trouble else f"no pool {disk.pool}"
        storage = world.storage_host(disk.pool, room.host.name)
        if not facilities.has_pool(disk.pool, storage):
            return f"pool {disk.pool} can't be used through {storage}"
    return ""


def _networks(_world: World, facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    for nic in vm.spec.networks:
        if nic.network is not None and (nic.network, room.host.name) not in facilities.networks:
            trouble = facilities.trouble.get(("Network", nic.network, room.host.name))
            return f"network {nic.network}: {trouble}" if trouble else f"no network {nic.network}"
    return ""


def _spread(_world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    wanted = vm.spec.placement.spread
    if wanted and any(has_all(labels, wanted) for labels in room.labels_there):
        return "spread " + ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    return ""


def _memory(_world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    lacking = vm.spec.memory_ceiling - room.memory_free
    return f"lacks {approximate_size(int(lacking))} of memory" if lacking > 0 else ""


def _cpus(_world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    lacking = vm.spec.cpu.count - room.cpus_free
    return f"lacks {lacking:g} vCPU{'' if lacking == 1 else 's'}" if lacking > 0 else ""


def _fleet_cpu(world: World, _facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    """Only the CPU of the fleet is looked at: of others libvirt tells when the guest is started."""
    if vm.spec.cpu.model == FLEET_BASELINE:
        return "the CPU that all hosts have is not known yet"
    if not is_cpu_text(vm.spec.cpu.model):
        return ""
    host = world.inventory.hosts[room.host.name]
    abilities = host.abilities
    question = CpuQuestion(cpu_of_text(vm.spec.cpu.model), vm.spec.domain_type)
    return (abilities.lacks(question) or "") if abilities is not None else host.unsaid("what CPU it has")


_FIXED_FILTERS: Final[tuple[_Filter, ...]] = (
    _state,
    _pinned,
    _selected,
    _virtualisation,
    _fleet_cpu,
    _pools,
    _networks,
)
_FILTERS: Final[tuple[_Filter, ...]] = (_spread, _memory, _cpus)


def _needs(vm: VirtualMachine) -> _Needs:
    spec = vm.spec
    return (
        spec.domain_type,
        spec.cpu.model,
        spec.placement.hosts,
        tuple(sorted(spec.placement.node_selector.items())),
        tuple((disk.pool, disk.image) for disk in spec.disks),
        tuple(nic.network_name for nic in spec.networks),
    )


def _fitness(world: World, facilities: Facilities, vm: VirtualMachine, room: Room, needs: _Needs) -> tuple[str, bool]:
    known = room.fitness.get(needs)
    if known is None:
        reason = next((why for check in _FIXED_FILTERS if (why := check(world, facilities, vm, room))), "")
        known = room.fitness[needs] = (reason, not reason and _images_local(world, vm, room.host.name))
    return known


def reject(world: World, facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    """Why `vm` can't go to this host; empty if it can. The first filter that says no is the reason."""
    fixed, _ = _fitness(world, facilities, vm, room, _needs(vm))
    return fixed or _crowded(world, facilities, vm, room)


def _crowded(world: World, facilities: Facilities, vm: VirtualMachine, room: Room) -> str:
    return next((reason for check in _FILTERS if (reason := check(world, facilities, vm, room))), "")


def place(
    world: World,
    facilities: Facilities,
    vm: VirtualMachine,
    rooms: Mapping[str, Room],
    *,
    only: str | None = None,
    barred: Mapping[str, str] = _NONE_BARRED,
) -> Verdict:
    """Choose the host for a new VM, or say why each was rejected; does not take the room.

    `only` leaves one host to choose from: the one that has the VM's disks. `barred` says why hosts are out of the
    question for this VM.
    """
    rejections: list[tuple[str, str]] = []
    best: tuple[float, str] | None = None
    needs = _needs(vm)
    for name in sorted(rooms):
        fixed, local = _fitness(world, facilities, vm, rooms[name], needs)
        reason = fixed or _crowded(world, facilities, vm, rooms[name])
        if not reason and only not in (None, name):
            reason = f"its disks are on {only}"
        reason = reason or barred.get(name, "")
        if reason:
            rejections.append((name, reason))
            continue
        score = round(sum(_scores(vm, rooms[name], local=local)), 6)
        if best is None or score > best[0]:
            best = (score, name)
    out_of_sight = [name for name in world.desired.hosts if name not in rooms]
    rejections += [(name, "dead" if name in world.dead else "can't be read") for name in out_of_sight]
    return Verdict(best[1] if best else None, tuple(sorted(rejections)))


def _scores(vm: VirtualMachine, room: Room, *, local: bool) -> Iterator[float]:
    """Each between 0 and 1, or a penalty: free memory and CPU after the VM, images already there, soft spread."""
    memory_after = room.memory_free - vm.spec.memory_ceiling
    yield memory_after / room.memory_total if room.memory_total > 0 else 0.0
    yield (room.cpus_free - vm.spec.cpu.count) / room.cpus_total if room.cpus_total > 0 else 0.0
    if local:
        yield _LOCALITY_BONUS
    wanted = vm.spec.placement.prefer_spread
    if wanted:
        yield -_SPREAD_PENALTY * sum(has_all(labels, wanted) for labels in room.labels_there)


def _images_local(world: World, vm: VirtualMachine, host: str) -> bool:
    from_images = [(disk.image, disk.pool) for disk in vm.spec.disks if disk.image is not None]
    for image, pool in from_images:
        digest = image_digest(world, image)
        if digest is None:
            return False
        base = base_volume(world.fleet, digest, world.desired.images[image].spec.format)
        if not is_complete(world.observed_pool(pool, host), base):
            return False
    return bool(from_images)

"""Whether a VM that is there may grow: what its host can't give it is neither staged nor restarted for."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from reconciler.model.domain import DomainConfig
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft
from reconciler.planner.ownership import Copy
from reconciler.planner.placement import Room


class _Sizes(Struct, frozen=True):
    """What a host has to give a VM, in bytes and virtual CPUs."""

    memory: float
    cpus: float


def held_to_its_room(rooms: Mapping[str, Room], draft: Draft, vm: VirtualMachine, copy: Copy) -> VirtualMachine:
    """`vm`, with the memory or CPUs that `copy` has now where its host can't give it more; that is said.

    What it grows by is taken from the host's room.
    """
    room = rooms[copy.host]
    now = copy.domain.running_config
    wanted = _Sizes(vm.spec.memory_ceiling, vm.spec.cpu.count)
    may_have, counted = _available(room, vm, copy)
    told, held = [], vm
    if wanted.memory > max(now.max_memory, may_have.memory):
        told.append(
            f"memory {approximate_size(int(wanted.memory))} does not fit on {copy.host}, which has"
            f" {approximate_size(max(0, int(may_have.memory)))} for it (of {approximate_size(int(room.memory_total))});"
            f" left at {approximate_size(now.memory)}"
        )
        held = _with_memory(held, now)
    if wanted.cpus > max(now.vcpus, may_have.cpus):
        told.append(
            f"{vm.spec.cpu.count} CPUs do not fit on {copy.host}, which has {max(0, may_have.cpus):g} for it"
            f" (of {room.cpus_total:g}); left at {now.vcpus}"
        )
        held = _with_cpus(held, now)
    if told:
        _report(draft, copy, "; ".join(told))
    if vm.spec.run_strategy != "Halted":
        room.memory_free -= max(0, held.spec.memory_ceiling - counted.memory)
        room.cpus_free -= max(0, held.spec.cpu.count - counted.cpus)
    return held


def _available(room: Room, vm: VirtualMachine, copy: Copy) -> tuple[_Sizes, _Sizes]:
    """What the VM may have there, and how much of that is taken by itself; one that stays off takes nothing."""
    if vm.spec.run_strategy == "Halted" and not copy.domain.active:
        return _Sizes(room.memory_total, room.cpus_total), _Sizes(0, 0)
    running, config = copy.domain.running_config, copy.domain.config
    own = _Sizes(max(running.max_memory, config.max_memory), max(running.vcpus, config.vcpus))
    return _Sizes(room.memory_free + own.memory, room.cpus_free + own.cpus), own


def _with_memory(vm: VirtualMachine, now: DomainConfig) -> VirtualMachine:
    ceiling = None if now.max_memory == now.memory else now.max_memory
    return vm.model_copy(update={"spec": vm.spec.model_copy(update={"memory": now.memory, "max_memory": ceiling})})


def _with_cpus(vm: VirtualMachine, now: DomainConfig) -> VirtualMachine:
    ceiling = None if now.max_vcpus == now.vcpus else now.max_vcpus
    cpu = vm.spec.cpu.model_copy(update={"count": now.vcpus, "max": ceiling})
    return vm.model_copy(update={"spec": vm.spec.model_copy(update={"cpu": cpu})})


def _report(draft: Draft, copy: Copy, told: str) -> None:
    draft.wait(
        ObjectRef("VirtualMachine", copy.mark.vm),
        "no-room",
        told,
        severity="blocked",
        host=copy.host,
        hint=f"ask for less, or make room on {copy.host}",
    )

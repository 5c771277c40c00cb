"""`cpu.model: fleet-baseline`: the CPU that all hosts have, as it was when the first VM got it.

It is not on record: what the VMs that asked for it have is the baseline. So it never changes under them, and a host
that joins and lacks some of it is told, and takes none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model.abilities import CpuQuestion
from reconciler.model.desired_state import DesiredState
from reconciler.model.fleet_cpu import FLEET_BASELINE, cpu_of_text, is_cpu_text
from reconciler.model.inventory import Inventory
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.draft import Draft

if TYPE_CHECKING:  # a world is made with these
    from reconciler.planner.world import World


def wants_baseline(vm: VirtualMachine) -> bool:
    """Whether its CPU is that of the fleet."""
    return vm.spec.cpu.model == FLEET_BASELINE


def baselines_in_use(desired: DesiredState, inventory: Inventory, fleet: str) -> Mapping[str, str]:
    """By domain type: the CPU that VMs have which asked for that of the fleet; of several the most common."""
    found: dict[str, Counter[str]] = {}
    asking = {name for name, vm in desired.vms.items() if wants_baseline(vm)}
    for host in inventory.hosts.values() if asking else ():
        for name in asking & host.domains.keys():
            config = host.domains[name].config
            if config.mark is not None and config.mark.fleet == fleet and is_cpu_text(config.cpu_model):
                found.setdefault(config.domain_type, Counter())[config.cpu_model] += 1
    return {kind: min(texts, key=lambda text: (-texts[text], text)) for kind, texts in found.items()}


def with_their_cpus(world: World) -> World:
    """`world` with the CPU that each VM is to have in its spec, so that whoever places one asks for the same.

    One stays as it is where that is not known yet: then no host takes it. A first one waits until all hosts have said
    what they have; one that was placed before does not wait for a host that may never come back.
    """
    asking = {name: vm for name, vm in world.desired.vms.items() if wants_baseline(vm)}
    if not asking:
        return world
    named = {name: found for name, vm in asking.items() if (found := _with_its_cpu(world, vm)) is not None}
    return replace(world, desired=replace(world.desired, vms={**world.desired.vms, **named}))


def _with_its_cpu(world: World, vm: VirtualMachine) -> VirtualMachine | None:
    kind, copies = vm.spec.domain_type, world.copies.get(vm.name, ())
    model = world.baselines.get(kind)
    if model is None and (vm.name in world.ledger.placements or not silent_hosts(world)):
        model = world.inventory.baselines.get(kind)
    if model is None and copies:
        model = copies[0].domain.config.cpu_model
    if model is None:
        return None
    cpu = vm.spec.cpu.model_copy(update={"model": model})
    return vm.model_copy(update={"spec": vm.spec.model_copy(update={"cpu": cpu})})


def silent_hosts(world: World) -> tuple[str, ...]:
    """Hosts that have not said what CPU they have: each might have the least."""
    hosts = world.inventory.hosts
    return tuple(name for name in sorted(world.desired.hosts) if name not in hosts or hosts[name].abilities is None)


def report_weak_hosts(world: World, draft: Draft) -> None:
    """Hosts that lack what VMs with the fleet's CPU have: none of those is placed there."""
    for name in sorted(world.inventory.hosts):
        abilities = world.inventory.hosts[name].abilities
        for kind, text in sorted(world.baselines.items()):
            lacks = abilities.lacks(CpuQuestion(cpu_of_text(text), kind)) if abilities is not None else None
            if lacks:
                draft.wait(
                    ObjectRef("Host", name),
                    "below-baseline",
                    f"it takes no VMs with cpu.model fleet-baseline: {lacks}",
                    severity="info",
                    host=name,
                    hint="nothing, or name a lesser cpu.model for those VMs and restart them",
                )

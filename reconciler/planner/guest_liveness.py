"""A guest that runs and whose agent does not answer: told, never a reason to do anything to it."""

from __future__ import annotations

from reconciler.model.plan import Unmet
from reconciler.model.quantities import format_duration
from reconciler.model.resource import ObjectRef
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.world import World


def silence_of(world: World, vm: VirtualMachine, host: str) -> Unmet | None:
    """What the controller's watch noted of the running guest of `vm`, where its spec asks for that."""
    agent = vm.spec.guest_agent
    if agent is None or vm.name not in world.ledger.silent_guests:
        return None
    return Unmet(
        ObjectRef("VirtualMachine", vm.name),
        "guest-not-answering",
        f"its agent has been silent for more than {format_duration(agent.liveness)}",
        severity="info",
        host=host,
        hint=f"virsh -c {world.desired.hosts[host].spec.uri} console {vm.name}",
    )

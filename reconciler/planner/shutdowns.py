"""How a VM's guest is shut down."""

from __future__ import annotations

from reconciler.model.inventory import ObservedDomain
from reconciler.model.steps import StopDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.world import World


def shut_down(world: World, vm: VirtualMachine, domain: ObservedDomain) -> StopDomain:
    """Ask the guest in `domain`, for as long as `vm` says, and force it off then where `vm` allows that."""
    wish = vm.spec.shutdown
    timeout = wish.timeout or world.policy.shutdown_timeout
    return StopDomain(domain=domain.name, uuid=domain.uuid, timeout=timeout, force=wish.force)

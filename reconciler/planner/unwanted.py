"""Why a VM should not be on the host that it is on, as the specs stand now."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.placement import has_all
from reconciler.planner.world import World


def broken_rule(world: World, vm: VirtualMachine, host: str) -> str:
    """Which rule of its placement does not allow `host`, as in `but its placement asks for rack=a`; empty if none."""
    spec, placement = world.desired.hosts[host], vm.spec.placement
    labels = spec.metadata.labels
    missing = [f"{key}={value}" for key, value in sorted(placement.node_selector.items()) if labels.get(key) != value]
    if missing:
        return f"but its placement asks for {' '.join(missing)}"
    if placement.hosts and host not in placement.hosts:
        wanted = ", ".join(placement.hosts)
        return f"but its placement asks for {wanted if len(placement.hosts) == 1 else f'one of {wanted}'}"
    beside = min(_too_close(world, vm, host), default="") if placement.spread else ""
    if beside:
        rule = ",".join(f"{key}={value}" for key, value in sorted(placement.spread.items()))
        return f"beside {beside}, against its spread {rule}"
    return ""


def _too_close(world: World, vm: VirtualMachine, host: str) -> Iterator[str]:
    """VMs there that `vm` may not be beside, and that will not leave for the same reason: of two the lesser leaves."""
    for domain in world.inventory.hosts[host].domains.values():
        mark = domain.config.mark
        other = world.desired.vms.get(domain.name) if mark is not None and mark.fleet == world.fleet else None
        if other is None or other.name == vm.name or not has_all(other.metadata.labels, vm.spec.placement.spread):
            continue
        rule = other.spec.placement.spread
        is_mutual = bool(rule) and has_all(vm.metadata.labels, rule)
        if not (is_mutual and _rank(vm) < _rank(other)):
            yield other.name


def _rank(vm: VirtualMachine) -> tuple[int, str]:
    return (-vm.spec.ha.priority, vm.name)

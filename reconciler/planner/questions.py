"""What hosts have to be asked before a plan may move VMs: nothing, as long as none has a reason to move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from reconciler.model.abilities import CpuQuestion
from reconciler.model.desired_state import DesiredState
from reconciler.model.fleet_cpu import cpu_at_boot, cpu_of_text
from reconciler.model.host import Host
from reconciler.model.inventory import HostInventory, Inventory, ObservedDomain
from reconciler.model.ledger import Placement
from reconciler.model.policy import Policy
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.fleet_baseline import baselines_in_use, wants_baseline
from reconciler.planner.placement import has_all

_NONE: Mapping[str, frozenset[CpuQuestion]] = {}


def questions(
    desired: DesiredState,
    inventory: Inventory,
    placements: Mapping[str, Placement],
    policy: Policy,
    *,
    everything: bool = False,
) -> Mapping[str, frozenset[CpuQuestion]]:
    """By host: the CPUs of the guests that may have to move; no host where none has to.

    With `everything` those of all guests.
    """
    all_may_move = everything or policy.balance.enabled
    returning = _may_return(desired, placements) if policy.failback else frozenset()
    bound = {name for name, vm in desired.vms.items() if _has_rules(vm)} | returning
    movers = [
        domain
        for name, observed in inventory.hosts.items()
        if (host := desired.hosts.get(name)) is not None
        for vm, domain in _ours(desired, policy.fleet, host, observed, None if all_may_move else bound)
        # What is off moves too where its host is emptied, or where it was shut down for that.
        if (domain.active or everything or host.is_drained or policy.migration.fallback == "cold")
        and (all_may_move or host.is_drained or vm.name in returning or _may_break_a_rule(vm, host, desired, observed))
    ]
    in_use = baselines_in_use(desired, inventory, policy.fleet)
    if not movers and not baseline_kinds(desired):
        return _NONE
    asked = frozenset(
        CpuQuestion(cpu, domain.config.domain_type)
        for domain in movers
        if (cpu := domain.cpu if domain.active else cpu_at_boot(domain.config)) is not None and cpu.is_bound
    ) | {CpuQuestion(cpu_of_text(text), kind) for kind, text in in_use.items()}
    return dict.fromkeys(inventory.hosts, asked)


def _ours(
    desired: DesiredState, fleet: str, host: Host, observed: HostInventory, bound: AbstractSet[str] | None
) -> Iterator[tuple[VirtualMachine, ObservedDomain]]:
    """VMs of the specs that are on the host: those of `bound`, or all where it is None or the host is emptied."""
    names = observed.domains if bound is None or host.is_drained else bound & observed.domains.keys()
    for name in names:
        vm, domain = desired.vms.get(name), observed.domains[name]
        mark = domain.config.mark
        if vm is not None and mark is not None and mark.fleet == fleet:
            yield vm, domain


def _may_return(desired: DesiredState, placements: Mapping[str, Placement]) -> AbstractSet[str]:
    """VMs that are away from a host that was emptied of them, and takes VMs again."""
    homes = {name for name, host in desired.hosts.items() if host.spec.state == "active"}
    return {name for name, placement in placements.items() if placement.drained_from in homes - {placement.host}}


def _has_rules(vm: VirtualMachine) -> bool:
    placement = vm.spec.placement
    return bool(placement.hosts or placement.node_selector or placement.spread)


def _may_break_a_rule(vm: VirtualMachine, host: Host, desired: DesiredState, observed: HostInventory) -> bool:
    placement = vm.spec.placement
    if placement.hosts and host.name not in placement.hosts:
        return True
    if placement.node_selector and not has_all(host.metadata.labels, placement.node_selector):
        return True
    beside = (desired.vms.get(name) for name in observed.domains if name != vm.name)
    wanted = placement.spread
    return bool(wanted) and any(other is not None and has_all(other.metadata.labels, wanted) for other in beside)


def baseline_kinds(desired: DesiredState) -> frozenset[str]:
    """Domain types for which the CPU that all hosts have is asked for by a VM of the specs."""
    return frozenset(vm.spec.domain_type for vm in desired.vms.values() if wants_baseline(vm))


def missing_baselines(desired: DesiredState, inventory: Inventory, policy: Policy) -> frozenset[str]:
    """Those of them that are to be worked out: no VM in sight has one yet."""
    return baseline_kinds(desired) - baselines_in_use(desired, inventory, policy.fleet).keys()

"""Checks whether each VM could run somewhere at all, by the specs alone: room is the planner's business."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from reconciler.model.host import Host
from reconciler.model.resource import Labels
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.catalog import Catalog, Found
from reconciler.specfiles.objects import SpecObject
from reconciler.specfiles.places import Finding

_PLACEMENT = ("spec", "placement")
_SHOWN_HOSTS = 4

Needs = tuple[frozenset[str], frozenset[str], tuple[str, ...], tuple[tuple[str, str], ...]]


def unplaceable(catalog: Catalog) -> Found:
    """VMs that no host can run, or that only hosts could run that take no new VMs."""
    if not catalog.has_all_hosts:
        return  # a host that could not be read may be the one
    answers: dict[Needs, Finding | None] = {}
    for item, vm in catalog.vms:
        needs = _needs(vm)
        if needs not in answers:
            answers[needs] = _judge(catalog, needs)
        finding = answers[needs]
        if finding is not None:
            yield item, finding


def spreads(catalog: Catalog) -> Found:
    """Spread rules that miss their own VM, or that more VMs share than there are hosts."""
    groups: dict[tuple[tuple[str, str], ...], list[tuple[SpecObject, VirtualMachine]]] = defaultdict(list)
    for item, vm in catalog.vms:
        for name, rule in (("spread", vm.spec.placement.spread), ("preferSpread", vm.spec.placement.prefer_spread)):
            if rule and not _has(vm.metadata.labels, rule):
                message = f"the VM itself lacks {_listed(rule)}; add it to metadata.labels, or mend the rule"
                yield item, Finding("S036", (*_PLACEMENT, name), message)
            elif rule and name == "spread":
                groups[tuple(sorted(rule.items()))].append((item, vm))
    if not catalog.has_all_hosts:
        return
    fitting: dict[Needs, frozenset[str]] = {}
    for rule_items, group in groups.items():
        hosts: set[str] = set()
        for needs in {_needs(vm) for _, vm in group}:
            if needs not in fitting:
                fitting[needs] = frozenset(host.name for _, host in catalog.hosts if _fits(catalog, host, needs))
            hosts |= fitting[needs]
        if len(group) > len(hosts) > 0:
            rule_text = _listed(dict(rule_items))
            message = f"{len(group)} VMs share the rule {rule_text}, but only {len(hosts)} hosts could run them"
            yield group[0][0], Finding("S036", (*_PLACEMENT, "spread"), f"{message}; use preferSpread, or add hosts")


def _needs(vm: VirtualMachine) -> Needs:
    """What a host must have; many VMs need the same."""
    spec = vm.spec
    return (
        frozenset(disk.pool for disk in spec.disks),
        frozenset(nic.network for nic in spec.networks if nic.network is not None),
        spec.placement.hosts,
        tuple(spec.placement.node_selector.items()),
    )


def _judge(catalog: Catalog, needs: Needs) -> Finding | None:
    pools, networks, _, _ = needs
    if not (pools <= catalog.pool_hosts.keys() and networks <= catalog.network_hosts.keys()):
        return None  # said already, where the reference stands
    if not catalog.hosts:
        return Finding("S034", ("metadata", "name"), "there is no Host in the specs; write one for each machine")
    fitting = [host for _, host in catalog.hosts if _fits(catalog, host, needs)]
    if not fitting:
        reasons = [f"{host.name} {_lack(catalog, host, needs)}" for _, host in catalog.hosts[:_SHOWN_HOSTS]]
        more = len(catalog.hosts) - _SHOWN_HOSTS
        ending = f" and {more} more" if more > 0 else ""
        return Finding("S034", _PLACEMENT, f"no host can run this VM: {', '.join(reasons)}{ending}", on_key=True)
    if all(host.spec.state != "active" for host in fitting):
        states = ", ".join(f"{host.name} is {_state(host)}" for host in fitting[:_SHOWN_HOSTS])
        return Finding("S035", _PLACEMENT, f"no host takes new VMs: {states}", on_key=True)
    return None


def _fits(catalog: Catalog, host: Host, needs: Needs) -> bool:
    return not _lack(catalog, host, needs)


def _lack(catalog: Catalog, host: Host, needs: Needs) -> str:
    """What the host lacks first; empty if nothing."""
    pools, networks, hosts, labels = needs
    if hosts and host.name not in hosts:
        return "is not in placement.hosts"
    missing = [f"{key}={value}" for key, value in labels if host.metadata.labels.get(key) != value]
    if missing:
        return f"lacks label {missing[0]}"
    for name in sorted(pools):
        if host.name not in catalog.pool_hosts.get(name, ()):
            return f"lacks pool {name}"
    for name in sorted(networks):
        if host.name not in catalog.network_hosts.get(name, ()):
            return f"lacks network {name}"
    return ""


def _state(host: Host) -> str:
    return "in maintenance" if host.is_drained else host.spec.state


def _has(labels: Labels, wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


def _listed(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())

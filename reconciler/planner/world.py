"""What the planner knows, indexed once: copies of each VM, usable pools and networks, what each host carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import OwnershipMark
from reconciler.model.election import storage_host
from reconciler.model.host import Host
from reconciler.model.inventory import HostInventory, Inventory, ObservedDomain, ObservedPool
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import Policy
from reconciler.model.resource import Labels, ObjectRef


@dataclass(frozen=True, slots=True)
class Copy:
    """One managed domain of a VM."""

    host: str
    domain: ObservedDomain
    mark: OwnershipMark


@dataclass(frozen=True, slots=True)
class World:
    """Inputs of one planning, and the indexes that every part of it reads. `now` is wall time in seconds."""

    desired: DesiredState
    inventory: Inventory
    ledger: LedgerView
    policy: Policy
    now: float
    copies: Mapping[str, tuple[Copy, ...]]
    """By VM name, hosts in order."""
    strangers: Mapping[str, tuple[str, ...]]
    """Names of domains without our mark, with the hosts that have them."""
    pool_hosts: Mapping[str, tuple[str, ...]]
    """Readable hosts of each pool, in order."""
    shared_pools: Mapping[str, str]
    """Shared pool → the host through which its volumes are handled."""

    @property
    def fleet(self) -> str:
        return self.policy.fleet

    def is_paused(self, ref: ObjectRef) -> bool:
        """Whether the object, or the whole fleet, is held."""
        held = self.ledger.paused
        return "fleet" in held or str(ref) in held or self._annotated_paused(ref)

    def _annotated_paused(self, ref: ObjectRef) -> bool:
        objects: Mapping[str, Mapping[str, object]] = {
            "Host": self.desired.hosts,
            "StoragePool": self.desired.pools,
            "Network": self.desired.networks,
            "Image": self.desired.images,
            "VirtualMachine": self.desired.vms,
        }
        resource = objects[ref.kind].get(ref.name)
        metadata = getattr(resource, "metadata", None)
        return bool(metadata and metadata.paused)

    def storage_host(self, pool: str, host: str) -> str:
        """The host through which volumes of `pool` are handled for a VM on `host`: one for all where it is shared."""
        return self.shared_pools.get(pool, host)

    def observed_pool(self, pool: str, host: str) -> ObservedPool | None:
        """The pool with its volumes as they matter to a VM on `host`."""
        reader = self.inventory.hosts.get(self.storage_host(pool, host))
        return reader.pools.get(pool) if reader else None

    def pool_serves(self, pool: str, host: str) -> bool:
        """Whether the specs give the pool to the host."""
        spec = self.desired.pools.get(pool)
        return spec is not None and _selected(spec.spec.hosts.matches, self.desired.hosts.get(host), host)

    def network_serves(self, network: str, host: str) -> bool:
        """Whether the specs give the network to the host."""
        spec = self.desired.networks.get(network)
        return spec is not None and _selected(spec.spec.hosts.matches, self.desired.hosts.get(host), host)


def _selected(matches: Callable[[str, Labels], bool], host: Host | None, name: str) -> bool:
    return host is not None and bool(matches(name, host.metadata.labels))


def make_world(desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy, now: float) -> World:
    """Index the inputs; hosts that are not in the specs any more are not looked at."""
    hosts = {name: inventory.hosts[name] for name in sorted(inventory.hosts) if name in desired.hosts}
    copies: dict[str, list[Copy]] = {}
    strangers: dict[str, list[str]] = {}
    for host_name, host in hosts.items():
        _index_domains(host_name, host, policy.fleet, copies, strangers)
    return World(
        desired=desired,
        inventory=inventory,
        ledger=ledger,
        policy=policy,
        now=now,
        copies={vm: tuple(found) for vm, found in copies.items()},
        strangers={name: tuple(found) for name, found in strangers.items()},
        pool_hosts={
            name: tuple(host for host in hosts if pool.spec.hosts.matches(host, desired.hosts[host].metadata.labels))
            for name, pool in desired.pools.items()
        },
        shared_pools={
            name: elected
            for name, pool in desired.pools.items()
            if pool.spec.shared and (elected := storage_host(desired, hosts, name)) is not None
        },
    )


def _index_domains(
    host_name: str,
    host: HostInventory,
    fleet: str,
    copies: dict[str, list[Copy]],
    strangers: dict[str, list[str]],
) -> None:
    for domain in host.domains.values():
        mark = domain.config.mark
        if mark is not None and mark.fleet == fleet:
            copies.setdefault(mark.vm, []).append(Copy(host_name, domain, mark))
        else:
            strangers.setdefault(domain.name, []).append(host_name)

"""What the planner knows, indexed once: copies of each VM, usable pools and networks, what each host carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState
from reconciler.model.election import storage_host
from reconciler.model.host import Host
from reconciler.model.inventory import Inventory, ObservedPool, UnreadHost
from reconciler.model.ledger import LedgerView
from reconciler.model.next_command import NextCommand
from reconciler.model.policy import Policy
from reconciler.model.resource import Labels, ObjectRef, Resource
from reconciler.model.restores import number_of
from reconciler.model.virtual_machine import Disk, VirtualMachine
from reconciler.planner.disk_volumes import restored_volumes, volume_of
from reconciler.planner.fleet_baseline import baselines_in_use, with_their_cpus
from reconciler.planner.host_identity import is_stranger
from reconciler.planner.lost_hosts import dead_hosts
from reconciler.planner.ownership import Copy, Foreign, sort_domains


class World(Struct, frozen=True):
    """Inputs of one planning, and the indexes that every part of it reads. `now` is wall time in seconds."""

    desired: DesiredState
    inventory: Inventory
    ledger: LedgerView
    policy: Policy
    now: float
    copies: Mapping[str, tuple[Copy, ...]]
    """By VM name, hosts in order: domains with the VM's mark, name and UUID."""
    foreign: Foreign
    """Everything else that the hosts run."""
    pool_hosts: Mapping[str, tuple[str, ...]]
    """Readable hosts of each pool, in order."""
    shared_pools: Mapping[str, str]
    """Shared pool → the host through which its volumes are handled."""
    unfinished: frozenset[tuple[str, str, str]]
    """Pool, volume and host (empty for a shared pool) of volumes that may be partial."""
    unread: tuple[str, ...]
    """Hosts of the specs that were not read this time."""
    never_seen: tuple[str, ...]
    """Hosts of the specs that were never read with this ledger."""
    strangers: frozenset[str]
    """Hosts under whose name another machine was read."""
    dead: frozenset[str]
    """Hosts of the specs that are proven dead and silent: their VMs may run elsewhere now."""

    restored: Mapping[tuple[str, str], tuple[str, ...]]
    """By VM and disk: volumes in sight that a restore has made for it, the newest first."""
    baselines: Mapping[str, str]
    """By domain type: the CPU of VMs that asked for that of the fleet. `desired` has it in their specs."""

    @property
    def fleet(self) -> str:
        return self.policy.fleet

    def disk_volume(self, vm: str, disk: Disk) -> str:
        """The volume that the disk of `vm` is, or is to be."""
        return volume_of(self.fleet, vm, self.made_as(vm), disk, self.copies.get(vm, ()), self.ledger, self.restored)

    def made_as(self, vm: str) -> str:
        """The name that `vm` was made with: that of its volumes."""
        spec, copies = self.desired.vms.get(vm), self.copies.get(vm, ())
        return spec.metadata.origin if spec is not None else copies[0].mark.made_as if copies else vm

    def disk_volumes(self, vm: VirtualMachine) -> dict[str, str]:
        """The volumes of all its disks, by the disk's name."""
        return {disk.name: self.disk_volume(vm.name, disk) for disk in vm.spec.disks}

    def last_restore(self, vm: str, marked: str = "") -> str:
        """What was restored last, by the mark of `vm` or by the ledger, whichever knows more; empty for nothing."""
        known = self.ledger.restores.get(vm)
        return max(marked, known.done if known is not None else "", key=number_of)

    def is_paused(self, ref: ObjectRef) -> bool:
        """Whether the object, or the whole fleet, is held."""
        return is_held(self.desired, self.ledger, ref)

    def how_to_resume(self, ref: ObjectRef) -> str:
        """What lets changes of a held object go on."""
        if "fleet" in self.ledger.paused:
            return NextCommand("resume")
        if str(ref) in self.ledger.paused:
            return NextCommand("resume", str(ref))
        return f"take the annotation reconciler/paused out of the spec of {ref}"

    def storage_host(self, pool: str, host: str) -> str:
        """The host through which volumes of `pool` are handled for a VM on `host`: one for all where it is shared."""
        return self.shared_pools.get(pool, host)

    def observed_pool(self, pool: str, host: str) -> ObservedPool | None:
        """The pool with its volumes as they matter to a VM on `host`."""
        reader = self.inventory.hosts.get(self.storage_host(pool, host))
        return reader.pools.get(pool) if reader else None

    def is_unfinished(self, pool: str, volume: str, host: str) -> bool:
        """Whether making the volume was begun through `host` (any host of a shared pool) and not finished."""
        if not self.unfinished:
            return False
        return (pool, volume, "" if self.is_shared(pool) else host) in self.unfinished

    def is_shared(self, pool: str) -> bool:
        """Whether every host of the pool sees the same content."""
        spec = self.desired.pools.get(pool)
        return spec is not None and spec.spec.shared

    def out_of_sight(self, pool: str) -> tuple[str, ...]:
        """Hosts of a shared pool that could not be read: what their VMs use of it is not known."""
        if not self.is_shared(pool):
            return ()
        return tuple(name for name in self.unread if self.pool_serves(pool, name))

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


def is_held(desired: DesiredState, ledger: LedgerView, ref: ObjectRef) -> bool:
    """Whether `ref` is paused, by command or by its annotation."""
    held = ledger.paused
    if held and ("fleet" in held or str(ref) in held):
        return True
    resource = same_kind(desired, ref).get(ref.name)
    return resource is not None and bool(resource.metadata.annotations) and resource.metadata.paused


def same_kind(desired: DesiredState, ref: ObjectRef) -> Mapping[str, Resource]:
    """All of the specs that are of the kind of `ref`, by name."""
    match ref.kind:
        case "VirtualMachine":
            return desired.vms
        case "Host":
            return desired.hosts
        case "StoragePool":
            return desired.pools
        case "Network":
            return desired.networks
        case "Image":
            return desired.images
        case "Approval":
            return desired.approvals


def make_world(desired: DesiredState, inventory: Inventory, ledger: LedgerView, policy: Policy, now: float) -> World:
    """Index the inputs; hosts that are not in the specs any more are not looked at."""
    strangers = _strangers(inventory, ledger, policy.fleet)
    hosts = {
        name: inventory.hosts[name]
        for name in sorted(inventory.hosts)
        if name in desired.hosts and name not in strangers
    }
    inventory = replace(inventory, hosts=hosts, unread={**inventory.unread, **strangers})
    copies, foreign = sort_domains(hosts, policy.fleet, desired.to_rename)
    shared = {name for name, pool in desired.pools.items() if pool.spec.shared}
    world = World(
        desired=desired,
        inventory=inventory,
        ledger=ledger,
        policy=policy,
        now=now,
        copies=copies,
        foreign=foreign,
        pool_hosts={
            name: tuple(host for host in hosts if pool.spec.hosts.matches(host, desired.hosts[host].metadata.labels))
            for name, pool in desired.pools.items()
        },
        shared_pools={
            name: elected for name in sorted(shared) if (elected := storage_host(desired, hosts, name)) is not None
        },
        unfinished=frozenset(
            (intent.pool, intent.volume, "" if intent.pool in shared else intent.host) for intent in ledger.intents
        ),
        unread=tuple(sorted(desired.hosts.keys() - hosts.keys())),
        never_seen=tuple(sorted(desired.every_host - ledger.hosts_read - hosts.keys())),
        strangers=frozenset(strangers),
        restored=restored_volumes(policy.fleet, hosts.values()),
        dead=dead_hosts(ledger, desired.hosts, (*hosts, *strangers)),
        baselines=baselines_in_use(desired, inventory, policy.fleet),
    )
    return with_their_cpus(world)


def _strangers(inventory: Inventory, ledger: LedgerView, fleet: str) -> dict[str, UnreadHost]:
    """Hosts under whose name another machine was read: nothing is known of the one that is meant."""
    return {
        name: UnreadHost(name, "another machine answers under its name", NextCommand("why", f"Host/{name}"), None)
        for name, host in inventory.hosts.items()
        if is_stranger(host, ledger, fleet)
    }

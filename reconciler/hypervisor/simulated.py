"""A fleet in memory that behaves, and misbehaves, as real libvirt hosts do; deterministic, in simulated time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import ReconcilerError
from reconciler.hypervisor import simulated_migration as migration
from reconciler.hypervisor.interface import HostEvent
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_domains import stop
from reconciler.hypervisor.simulated_host import SimulatedHost
from reconciler.hypervisor.simulated_people import People
from reconciler.hypervisor.simulated_storage import start_pool
from reconciler.hypervisor.simulated_world import DirectoryState, HostState, MutatingCall, MutationHook, World
from reconciler.model.inventory import HostFacts

_GIB: Final = 1 << 30
_NAMESPACE: Final = uuid.UUID("5f1d8f4e-3f0e-5b58-8a3c-0d6f6d1c7a11")


class SimulatedFleet:
    """Implements Fleet; also the seam for faults, for people beside the controller, and for crash points.

    With a real clock, waits and timeouts really pass; with a FakeClock they pass at once.
    """

    def __init__(self, clock: Clock | None = None, *, deadline: float = 10.0) -> None:
        self.clock = clock or FakeClock()
        self.world = World(self.clock)
        self._deadline = deadline
        self._hosts: dict[str, SimulatedHost] = {}

    # -- building --------------------------------------------------------------------------------------------------
    def add_host(
        self,
        name: str,
        *,
        memory: int = 16 * _GIB,
        cpus: int = 8,
        disk: int = 1024 * _GIB,
        domain_types: tuple[str, ...] = ("kvm", "qemu"),
    ) -> SimulatedHost:
        """Add a host that is up; sizes in bytes, `disk` for each of its file systems."""
        facts = HostFacts(
            uuid=str(uuid.uuid5(_NAMESPACE, name)),
            hostname=f"{name}.example",
            memory=memory,
            cpus=cpus,
            arch="x86_64",
            domain_types=domain_types,
            libvirt_version=9_000_000,
        )
        self.world.hosts[name] = HostState(name, facts, disk)
        self._hosts[name] = SimulatedHost(self.world, self.world.hosts[name], self._deadline)
        return self._hosts[name]

    def share_directory(self, path: str, hosts: Iterable[str] | None = None, *, capacity: int = 1024 * _GIB) -> None:
        """Have `path` be the same file system on `hosts` (all of them by default)."""
        directory = DirectoryState(capacity)
        for name in hosts if hosts is not None else self.names:
            self.world.hosts[name].directories[path] = directory

    # -- the Fleet protocol ----------------------------------------------------------------------------------------
    def host(self, name: str) -> SimulatedHost:
        return self._hosts[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._hosts)

    def update(self, hosts: Mapping[str, str]) -> None:
        """Take up the hosts of the specs; URIs mean nothing here, and a name without a machine never answers."""
        for name in hosts:
            if name not in self.world.hosts:
                self.add_host(name)
                self.cut_network(name)
        self._hosts = {name: SimulatedHost(self.world, self.world.hosts[name], self._deadline) for name in hosts}

    def subscribe(self, callback: Callable[[HostEvent], None]) -> None:
        self.world.subscribers.append(callback)

    def close(self) -> None:
        """Nothing is held."""

    # -- faults ----------------------------------------------------------------------------------------------------
    def power_off(self, name: str) -> None:
        """Cut the power: every guest is dead, what was not persistent is gone."""
        state = self.world.hosts[name]
        with self.world.lock:
            migration.settle(self.world)
            state.faults.powered = False
            for entry in tuple(state.domains.values()):
                stop(self.world, state, entry, "unknown")
            for pool in state.pools.values():
                pool.active = False
                pool.seen = {}
            for network in tuple(state.networks):
                self.people(name).set_network_active(network, active=False)
            migration.settle(self.world)

    def power_on(self, name: str) -> None:
        """Boot: what is set to autostart comes up."""
        state = self.world.hosts[name]
        with self.world.lock:
            state.faults.powered = True
            state.faults.hung = False
            for network in state.networks.values():
                self.people(name).set_network_active(network.name, active=network.autostart)
            for pool in state.pools.values():
                if pool.autostart:
                    start_pool(self.world, state, pool)
            for entry in tuple(state.domains.values()):
                if entry.config.autostart:
                    self.people(name).try_start(entry.config.name)
        self.world.emit(name, "connected", name, "powered on")

    def cut_network(self, name: str) -> None:
        """No packets to the host; its guests run on."""
        with self.world.lock:
            migration.settle(self.world)
            self.world.hosts[name].faults.linked = False
            migration.settle(self.world)

    def restore_network(self, name: str) -> None:
        self.world.hosts[name].faults.linked = True

    def hang(self, name: str) -> None:
        """The libvirt daemon stops answering; each call takes its whole deadline and is not applied."""
        self.world.hosts[name].faults.hung = True

    def recover(self, name: str) -> None:
        """The libvirt daemon answers again."""
        self.world.hosts[name].faults.hung = False

    def slow_down(self, name: str, seconds: float) -> None:
        """Every call takes `seconds`."""
        self.world.hosts[name].faults.delay = seconds

    def lose_reply(self, name: str, method: str) -> None:
        """The next call of `method` (of Hypervisor) is applied, and then HostTimeout is raised."""
        self.world.hosts[name].faults.lost_replies.append(method)

    def fail_next(self, name: str, method: str, error: ReconcilerError) -> None:
        """The next call of `method` raises `error` and is not applied."""
        self.world.hosts[name].faults.failures.append((method, error))

    def freeze_reads(self, name: str) -> None:
        """`read` answers what is true now, whatever happens after."""
        with self.world.lock:
            self.world.hosts[name].faults.stale = self._hosts[name].inventory()

    def thaw_reads(self, name: str) -> None:
        self.world.hosts[name].faults.stale = None

    def fill_disk(self, name: str, path: str) -> None:
        """Leave no free byte in the file system at `path`; other hosts that share it included."""
        directory = self.world.hosts[name].directory(path)
        directory.capacity -= directory.available

    def empty_disk(self, name: str, path: str) -> None:
        """Give the file system at `path` its room back, and as much again."""
        state = self.world.hosts[name]
        directory = state.directory(path)
        directory.capacity = state.disk_capacity + sum(file.allocation for file in directory.files.values())

    def set_cpu(self, name: str, *features: str, machines: Iterable[str] | None = None) -> None:
        """Give the host another CPU, with these features, and other machine types if they are given."""
        state = self.world.hosts[name]
        state.cpu = replace(state.cpu, features=tuple(("require", feature) for feature in sorted(features)))
        state.machines = state.machines if machines is None else tuple(machines)

    def replace_machine(self, name: str) -> None:
        """Have another machine, freshly installed, answer under the name: nothing of the old one is on it."""
        state = self.world.hosts[name]
        with self.world.lock:
            state.facts = replace(state.facts, uuid=str(uuid.uuid5(_NAMESPACE, f"{state.facts.uuid} replaced")))
            state.domains.clear()
            state.pools.clear()
            state.networks.clear()

    # -- crash points ----------------------------------------------------------------------------------------------
    @property
    def calls(self) -> tuple[MutatingCall, ...]:
        """Every mutating call so far, in order."""
        return tuple(self.world.calls)

    def on_mutation(self, hook: MutationHook | None) -> None:
        """Call `hook` around each mutating call from now on; it may raise SimulatedCrashError."""
        self.world.on_mutation = hook

    # -- people ----------------------------------------------------------------------------------------------------
    def people(self, name: str) -> People:
        """What an administrator at the host can do behind the controller's back."""
        return People(self.world, self.world.hosts[name])

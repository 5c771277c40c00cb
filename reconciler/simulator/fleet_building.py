"""The machines of a scenario."""

from __future__ import annotations

from reconciler.clock import Clock
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_world import PoolState
from reconciler.model.desired_state import DesiredState
from reconciler.model.domain import DomainConfig
from reconciler.model.inventory import ObservedNetwork
from reconciler.simulator.scenario import FleetFile, FleetHost


def build_fleet(file: FleetFile, desired: DesiredState | None, clock: Clock) -> SimulatedFleet:
    """Machines as `file` says, with defaults for other hosts of the specs; pools that the specs share are shared."""
    fleet = SimulatedFleet(clock)
    named = desired.hosts if desired is not None else {}
    for name in dict.fromkeys([*file.hosts, *named]):
        machine = file.hosts.get(name, FleetHost())
        fleet.add_host(name, memory=machine.memory, cpus=machine.cpus, disk=machine.disk)
        state = fleet.world.hosts[name]
        state.shutdown_seconds = machine.shutdown
        state.call_seconds = file.call
        if machine.cpu is not None:
            fleet.set_cpu(name, *machine.cpu)
        for domain in machine.domains:
            define_unmanaged(fleet, name, domain.name, domain.memory, running=domain.running)
    if desired is not None:
        _add_surroundings(fleet, desired)
    return fleet


def _add_surroundings(fleet: SimulatedFleet, desired: DesiredState) -> None:
    """What the specs take for given: shared directories, and pools and networks that are there already."""
    for pool in desired.pools.values():
        if pool.spec.shared:
            fleet.share_directory(pool.spec.target or f"/pools/{pool.name}")
    for host in fleet.world.hosts.values():
        for pool in desired.pools.values():
            if pool.spec.type == "existing":
                target = pool.spec.target or f"/pools/{pool.name}"
                host.pools[pool.name] = PoolState(
                    pool.name, f"pool-{pool.name}", "dir", target, active=True, autostart=True
                )
        for network in desired.networks.values():
            if network.spec.mode == "existing":
                found = ObservedNetwork(network.name, f"network-{network.name}", True, True, "other", None, None, False)
                host.networks[network.name] = found


def define_unmanaged(fleet: SimulatedFleet, host: str, name: str, memory: int, *, running: bool) -> None:
    """A domain that somebody made by hand."""
    people = fleet.people(host)
    people.define(_plain_domain(name, memory))
    if running:
        people.start(name)


def _plain_domain(name: str, memory: int) -> DomainConfig:
    return DomainConfig(
        name=name,
        uuid=f"00000000-0000-4000-8000-{sum(map(ord, name)):012d}",
        domain_type="kvm",
        machine="q35",
        firmware="bios",
        vcpus=1,
        max_vcpus=1,
        cpu_model="host-model",
        memory=memory,
        max_memory=memory,
        disks=(),
        nics=(),
        seed=None,
        graphics="none",
        agent_channel=False,
        serial_console=False,
        console_log=None,
        rng=False,
        balloon=False,
        autostart=False,
        mark=None,
    )

"""Fence devices of a simulation, their tests, and what people say of lost hosts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reconciler.clock import Clock
from reconciler.fencing.devices import FenceDevices
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceProof, FenceTest
from reconciler.model.host import Host
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import HighAvailability
from reconciler.simulator.scenario import FleetFile
from reconciler.simulator.simulated_agents import SimulatedAgents, device_of


class FenceRoom:
    """The devices; `wanted` gives the specs as they are now."""

    def __init__(
        self,
        fleet: SimulatedFleet,
        clock: Clock,
        file: FleetFile,
        desired: DesiredState,
        on_off: Callable[[str], None],
        on_order: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._policy: HighAvailability = file.policy.ha
        machines = {device: host.name for host in desired.hosts.values() for device in _devices(host)}
        self.agents = SimulatedAgents(fleet, clock, {**machines, **file.devices}, on_off, on_order)

    def devices(self) -> FenceDevices:
        """The real way to them, as a controller that begins makes it."""
        return FenceDevices(self._policy, self._clock, agents=self.agents)

    def arm(self, hosts: DesiredState, state_dir: Path) -> None:
        """Have every device's test on record as passed."""
        with Ledger(state_dir) as ledger:
            for host in hosts.hosts.values():
                if host.spec.fencing:
                    test = FenceTest(host.name, self._clock.now(), True, devices_hash(host), "passed before it begins")
                    ledger.record_fence_test(test)

    def test(self, host: Host) -> FenceTest:
        """What `reconciler fence test` would write down."""
        machines = {name: state.facts.uuid for name, state in self._fleet.world.hosts.items()}
        others = {uuid: name for name, uuid in machines.items() if name != host.name}
        return self.devices().test(host, identity=machines[host.name], others=others)

    def proof(self, host: str, by: str, ledger: LedgerView) -> FenceProof:
        """What `reconciler fence confirm` would write down; raises KeyError where there is nothing to confirm."""
        incident = ledger.incidents.get(host)
        if incident is None:
            raise KeyError(f"open incident of {host}")
        return FenceProof(host, incident.id, "human", self._clock.now(), "looked at it", by)


def _devices(host: Host) -> tuple[str, ...]:
    return tuple(device_of(level.parameters) for level in host.spec.fencing)

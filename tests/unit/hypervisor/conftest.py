from __future__ import annotations

import pytest

from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from tests.support.domains import domain_config
from tests.unit.hypervisor.simulated_objects import GIB, LAN, POOL, TARGET, UUID


@pytest.fixture
def fleet() -> SimulatedFleet:
    """Two hosts that share the pool `vms`, each with the network `lan`."""
    made = SimulatedFleet(FakeClock())
    for name in ("h1", "h2"):
        made.add_host(name)
    made.share_directory(TARGET)
    for name in ("h1", "h2"):
        made.host(name).define_pool(POOL)
        made.host(name).define_network(LAN)
    return made


@pytest.fixture
def running(fleet: SimulatedFleet) -> SimulatedFleet:
    """`fleet` with `web` running on h1."""
    h1 = fleet.host("h1")
    h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB)
    h1.define_domain(domain_config())
    h1.start_domain(UUID)
    return fleet

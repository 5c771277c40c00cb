"""Who does not lead any more changes nothing: neither on a host nor by a fence device."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import LeadLost
from reconciler.executor.lead_guard import READING, GuardedFleet, GuardedPower
from reconciler.fencing.devices import FenceDevices
from reconciler.hypervisor.interface import Hypervisor
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.host import FencingLevel, Host, HostSpec
from reconciler.model.policy import HighAvailability
from reconciler.model.resource import Metadata
from reconciler.model.steps import PoolConfig
from reconciler.simulator.simulated_agents import SimulatedAgents

if TYPE_CHECKING:
    from reconciler.model.health import AttemptEnd


class Lead:
    """Held until `lost` is set."""

    def __init__(self) -> None:
        self.lost = False

    def check(self) -> None:
        if self.lost:
            raise LeadLost("c1 does not lead any more")


@pytest.fixture
def lead() -> Lead:
    return Lead()


@pytest.fixture
def fleet() -> SimulatedFleet:
    fleet = SimulatedFleet()
    fleet.add_host("h1")
    return fleet


@pytest.fixture
def host(fleet: SimulatedFleet, lead: Lead) -> Hypervisor:
    return GuardedFleet(fleet, lead.check).host("h1")


CHANGING = sorted(name for name, member in vars(Hypervisor).items() if not name.startswith("_") and callable(member))


@pytest.mark.parametrize("method", [name for name in CHANGING if name not in READING])
def test_no_change_reaches_a_host_once_the_lead_is_lost(
    method: str, host: Hypervisor, fleet: SimulatedFleet, lead: Lead
) -> None:
    lead.lost = True

    with pytest.raises(LeadLost):
        getattr(host, method)(*[None] * {"upload_volume": 5, "begin_migration": 1}.get(method, 0))

    assert fleet.calls == ()


def test_a_host_can_be_read_by_who_does_not_lead(host: Hypervisor, lead: Lead) -> None:
    lead.lost = True

    assert host.read().domains == {}
    assert host.sweep() == ()
    host.ping(1.0)


def test_what_is_named_as_reading_is_of_the_door_to_hosts() -> None:
    assert vars(Hypervisor).keys() >= READING


def test_changes_go_through_while_it_leads(host: Hypervisor, fleet: SimulatedFleet) -> None:
    host.define_pool(PoolConfig("vms", "", "dir", "/srv/vms"))

    assert [call.method for call in fleet.calls] == ["define_pool"]


def test_an_upload_ends_where_the_lead_does(host: Hypervisor, lead: Lead) -> None:
    host.define_pool(PoolConfig("vms", "", "dir", "/srv/vms"))
    host.create_volume("vms", "v", format="raw", capacity=1 << 20)

    class Content(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            lead.lost = True
            return super().read(size)

    with pytest.raises(LeadLost):
        host.upload_volume("vms", "v", Content(bytes(1 << 20)), 1 << 20, lambda _: None)


class Attempts:
    """Implements AttemptLog."""

    def __init__(self, lead: Lead, *, lose_at: str) -> None:
        self._lead = lead
        self._lose_at = lose_at

    def began(self, level: int, agent: str) -> int:
        self._lead.lost = self._lose_at == "began"
        return level + len(agent)

    def ended(self, attempt: int, end: AttemptEnd, message: str) -> None:
        """Nobody asks."""

    def before_off(self) -> None:
        self._lead.lost = True


@pytest.mark.parametrize("moment", ["before", "began", "before off"])
def test_no_device_is_told_to_switch_off_once_the_lead_is_lost(moment: str, fleet: SimulatedFleet, lead: Lead) -> None:
    agents = SimulatedAgents(fleet, FakeClock(), {"h1": "h1"}, lambda _: None)
    power = GuardedPower(FenceDevices(HighAvailability(), FakeClock(), agents=agents), lead.check)
    level = FencingLevel(agent="fence_ipmilan", parameters={"ip": "h1"})
    host = Host(
        apiVersion="reconciler/v1",
        kind="Host",
        metadata=Metadata(name="h1"),
        spec=HostSpec(uri="qemu+tls://h1/system", fencing=(level,)),
    )
    lead.lost = moment == "before"

    with pytest.raises(LeadLost):
        power.fence(host, "i1", Attempts(lead, lose_at=moment), threading.Event())

    assert fleet.world.hosts["h1"].faults.powered
    assert power.power(host) == "on"

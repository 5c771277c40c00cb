"""Fence devices as the product uses them, against real BMCs by the real agent."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import FencingFailed, FencingStopped
from reconciler.fencing.devices import FenceDevices
from reconciler.fencing.secrets import Credentials
from reconciler.model.health import AttemptEnd
from reconciler.model.host import Host
from reconciler.model.policy import HighAvailability
from reconciler.specfiles.loader import load
from tests.lab.fixtures import why_no_lab
from tests.lab.ha_fleet import make_ha_fleet
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.skipif(why_no_lab() is not None, reason=str(why_no_lab()))


@dataclass
class Attempts:
    """An AttemptLog that keeps how each ended."""

    numbers: Iterator[int] = field(default_factory=itertools.count)
    begun: list[str] = field(default_factory=list)
    ends: list[AttemptEnd] = field(default_factory=list)

    def began(self, level: int, agent: str) -> int:
        self.begun.append(f"{level} {agent}")
        return next(self.numbers)

    def ended(self, attempt: int, end: AttemptEnd, message: str) -> None:
        assert message, attempt
        self.ends.append(end)

    def before_off(self) -> None:
        """Nothing speaks against it."""


@dataclass(frozen=True)
class Rack:
    """The lab, its hosts as specs, and the devices."""

    lab: Lab
    hosts: dict[str, Host]
    devices: FenceDevices
    attempts: Attempts

    def fence(self, host: str, stop: threading.Event | None = None) -> str:
        """Fence it; the kind of proof."""
        return self.devices.fence(self.hosts[host], "i1", self.attempts, stop or threading.Event()).kind

    def identity(self, host: str) -> str:
        return str(self.lab.state.host_uuid(host))


@pytest.fixture
def rack(fenced_lab: Lab, tmp_path: Path) -> Iterator[Rack]:
    fleet = make_ha_fleet(fenced_lab, tmp_path, ["web-1"])
    hosts = dict(load(fleet.controller.specs, fleet="default").hosts)
    credentials = Credentials(fleet.controller.environment)
    policy = HighAvailability.model_validate({"fenceTimeout": "6s"})
    with closing(FenceDevices(policy, SystemClock(), credentials=credentials)) as devices:
        yield Rack(fenced_lab, hosts, devices, Attempts())


def test_a_host_that_is_on_is_switched_off_and_one_that_is_off_is_found_so(rack: Rack) -> None:
    host = rack.lab.hosts[0]

    kinds = [rack.fence("h1"), rack.fence("h1")]

    assert kinds == ["fenced", "found-off"]
    assert rack.attempts.ends == ["confirmed", "confirmed"]
    assert not host.is_on


def test_power_is_what_the_device_says_and_unknown_where_it_says_nothing(rack: Rack) -> None:
    rack.lab.hosts[1].power_cut()
    rack.lab.bmc("h3").kill()

    assert [rack.devices.power(host) for host in rack.hosts.values()] == ["on", "off", "unknown"]


def test_a_device_that_reports_success_and_leaves_the_host_on_is_no_proof(rack: Rack) -> None:
    rack.lab.bmc("h1").lie()

    with pytest.raises(FencingFailed, match="reconciler fence confirm h1"):
        rack.fence("h1")

    assert rack.attempts.ends in (["failed"], ["timed-out"])
    assert rack.lab.hosts[0].is_on


def test_a_device_that_does_not_answer_is_a_failure(rack: Rack) -> None:
    rack.lab.bmc("h1").hang()

    with pytest.raises(FencingFailed):
        rack.fence("h1")

    assert rack.attempts.ends == ["timed-out"]


def test_an_attempt_that_is_called_off_ends_at_once_and_shoots_nobody(rack: Rack) -> None:
    bmc = rack.lab.bmc("h1")
    bmc.hang()
    stop = threading.Event()
    refused: list[FencingStopped] = []

    def fence() -> None:
        try:
            rack.fence("h1", stop)
        except FencingStopped as error:
            refused.append(error)

    fencing = threading.Thread(target=fence)
    fencing.start()
    wait_for(lambda: rack.attempts.begun, 10, "no attempt began")
    stop.set()
    fencing.join(10)
    bmc.resume()

    assert len(refused) == 1
    assert rack.attempts.ends == ["cancelled"]
    assert rack.devices.power(rack.hosts["h1"]) == "on"


def test_a_device_of_another_host_is_found_out(rack: Rack) -> None:
    tested = [rack.devices.test(host, identity=rack.identity(name)) for name, host in rack.hosts.items()]
    crossed = rack.devices.test(rack.hosts["h1"], identity=rack.identity("h2"))

    assert [test.passed for test in tested] == [True, True, True], tested
    assert not crossed.passed
    assert all(host.is_on for host in rack.lab.hosts)

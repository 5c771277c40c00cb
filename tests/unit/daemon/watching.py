"""Three simulated hosts with fence devices, watched second by second in simulated time."""

from __future__ import annotations

import threading
from typing import Any, Final

from reconciler.daemon.host_watch import HostWatch, Submit
from reconciler.fencing.interface import AttemptLog
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.model.health import FenceProof, FenceTest, HostSigns, Power
from reconciler.model.host import Host
from reconciler.model.policy import HighAvailability
from tests.support.fleets import host

DEVICE: Final = [{"agent": "fence_ipmilan", "parameters": {"ip": "10.1.0.11"}}]


class Devices:
    """Fence devices that say what the test says."""

    def __init__(self) -> None:
        self.says: dict[str, Power] = {}
        self.asked: list[str] = []
        self.mistakes = 0

    def power(self, host: Host) -> Power:
        self.asked.append(host.name)
        if len(self.asked) <= self.mistakes:
            raise ValueError("a mistake of ours")
        return self.says.get(host.name, "unknown")

    def fence(self, host: Host, incident: str, attempts: AttemptLog, stop: threading.Event) -> FenceProof:
        raise NotImplementedError

    def test(self, host: Host, *, identity: str | None) -> FenceTest:
        raise NotImplementedError


class Watched:
    """Hosts h1 to h3 that are watched, second by second."""

    def __init__(self, *, fencing: bool = True, **policy: Any) -> None:
        self.clock = FakeClock()
        self.fleet = SimulatedFleet(self.clock)
        self.devices = Devices()
        self.told: list[str] = []
        self.hosts = {name: host(name, fencing=DEVICE if fencing else []) for name in ("h1", "h2", "h3")}
        for name in self.hosts:
            self.fleet.add_host(name)
        self.watch = self.new_watch(**policy)

    def new_watch(
        self, *, submit: Submit = lambda work: work(), watched_before: float = 0.0, **policy: Any
    ) -> HostWatch:
        watch = HostWatch(
            self.fleet,
            self.devices,
            self.clock,
            HighAvailability(**policy),
            notify=self.told.append,
            watched_before=watched_before,
            submit=submit,
        )
        watch.follow(self.hosts)
        return watch

    def pass_seconds(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            pause = self.watch.poll()
            self.clock.advance(min(pause, end - self.clock.monotonic()))
        self.watch.poll()

    def signs(self, name: str = "h1") -> HostSigns:
        return self.watch.signs()[name]

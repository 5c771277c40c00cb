"""Where the contract of `Hypervisor` and `Fleet` is tried: on real hosts and on the simulated fleet."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.hypervisor.interface import Fleet, Hypervisor
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.hypervisor.simulated import SimulatedFleet
from tests.lab.fixtures import fresh_lab, lab

__all__ = ["fresh_lab", "lab"]


@dataclass(frozen=True, slots=True)
class Ground:
    """A fleet of two empty hosts that share the folder `pool_path`."""

    fleet: Fleet
    host_name: str
    other_name: str
    pool_path: str
    make_deaf: Callable[[str], None]
    """Have a guest that runs ignore what it is asked for, as one that sits in its BIOS does by itself."""

    @property
    def host(self) -> Hypervisor:
        return self.fleet.host(self.host_name)

    @property
    def other(self) -> Hypervisor:
        return self.fleet.host(self.other_name)


@pytest.fixture(params=[pytest.param("libvirt", marks=pytest.mark.lab), "simulated"])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """Each implementation in turn."""
    make = {"libvirt": _on_libvirt, "simulated": _on_simulated_hosts}[request.param]
    with contextlib.closing(make(request)) as fleet:
        if isinstance(fleet, SimulatedFleet):
            yield Ground(fleet, "h1", "h2", "/srv/shared/vms", fleet.people("h1").deafen)
        else:
            path = f"{request.getfixturevalue('fresh_lab').shared}/vms"
            yield Ground(fleet, "h1", "h2", path, lambda _name: None)


def _on_libvirt(request: pytest.FixtureRequest) -> Fleet:
    hosts = request.getfixturevalue("fresh_lab").hosts
    return LibvirtFleet({host.name: host.uri for host in hosts[:2]})


def _on_simulated_hosts(_: pytest.FixtureRequest) -> Fleet:
    fleet = SimulatedFleet()
    for name in ("h1", "h2"):
        fleet.add_host(name)
    fleet.share_directory("/srv/shared/vms")
    return fleet


@pytest.fixture
def host(ground: Ground) -> Hypervisor:
    return ground.host

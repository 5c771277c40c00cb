"""Where the contract of `Hypervisor` and `Fleet` is tried: on real hosts and on the simulated fleet."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.hypervisor.interface import Fleet, Hypervisor
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
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
    local_path: str
    """A folder that each host has for itself."""
    other_uri: str
    other_address: str
    pass_time: Callable[[float], None]
    """Simulated time alone passes by being told so."""
    lose_other: Callable[[], None]
    """Have the other host answer no call any more."""
    save_guest: Callable[[str], None]
    """As `virsh managedsave`."""
    read_local: Callable[[str, str], bytes] | None = None
    """Content of a file in that folder, by host; None where files have no content."""

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
    made = make(request)
    with contextlib.closing(made.fleet):
        yield made


def _on_libvirt(request: pytest.FixtureRequest) -> Ground:
    lab = request.getfixturevalue("fresh_lab")
    here, other = lab.hosts[:2]
    return Ground(
        fleet=LibvirtFleet({host.name: host.uri for host in (here, other)}),
        host_name=here.name,
        other_name=other.name,
        pool_path=f"{lab.shared}/vms",
        make_deaf=lambda _name: None,
        local_path=f"{lab.local}/vms",
        other_uri=other.uri,
        other_address=other.address,
        pass_time=lambda _seconds: None,
        lose_other=other.stop_libvirtd,
        save_guest=lambda name: here.virsh("managedsave", name) and None,
        read_local=lambda name, file: (lab.host(name).local / "vms" / file).read_bytes(),
    )


def _on_simulated_hosts(_: pytest.FixtureRequest) -> Ground:
    clock = FakeClock()
    fleet = SimulatedFleet(clock)
    for name in ("h1", "h2"):
        fleet.add_host(name)
    fleet.share_directory("/srv/shared/vms")
    return Ground(
        fleet=fleet,
        host_name="h1",
        other_name="h2",
        pool_path="/srv/shared/vms",
        make_deaf=fleet.people("h1").deafen,
        local_path="/srv/local/vms",
        other_uri="qemu+tls://h2.example/system",
        other_address="h2.example",
        pass_time=clock.advance,
        lose_other=lambda: fleet.power_off("h2"),
        save_guest=fleet.people("h1").save,
    )


@pytest.fixture
def host(ground: Ground) -> Hypervisor:
    return ground.host

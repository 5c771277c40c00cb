"""For each VM and host: whether it can be moved there as it runs, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.abilities import CpuAnswer, CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.inventory import ObservedDomain
from reconciler.planner.mobility import mobility
from reconciler.planner.world import make_world
from tests.support.fleets import GIB, Story, host, observed_network, story, stranger, vm

_BOUND = GuestCpu("custom", "EPYC", features=(("require", "avx2"),), check="full")
_QUESTION = CpuQuestion(_BOUND, "kvm")


def running(spec: Any = None, *, shared: bool = True, cpu: GuestCpu | None = None, **fields: Any) -> Story:
    """A VM that runs on h1, beside an empty h2."""
    cordoned = host("h2", state="cordoned")
    fleet = story(spec or vm(), cordoned, hosts=2, shared=shared, **fields).converged()
    fleet = fleet.with_specs(host("h2"), without=["Host/h2"])
    return fleet.with_domain(replace(fleet.domain(), cpu=cpu))


def verdicts(fleet: Story, name: str = "web") -> Mapping[str, str]:
    """Why each other host does not take the VM, empty where it does."""
    world = make_world(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.now)
    (found,) = (each for each in mobility(world) if each.vm == name)
    return {verdict.host: verdict.obstacle for verdict in found.verdicts}


def seen(fleet: Story, **changes: Any) -> Story:
    domain: ObservedDomain = replace(fleet.domain(), **changes)
    return fleet.with_domain(domain)


def test_a_vm_on_shared_storage_can_go_to_an_equal_host() -> None:
    assert verdicts(running()) == {"h2": ""}


def test_a_host_that_could_not_be_read_takes_nobody() -> None:
    assert verdicts(running().losing_sight_of("h2")) == {"h2": "can't be read"}


def test_a_host_that_has_not_said_what_it_can_do_takes_nobody() -> None:
    assert verdicts(running().with_host("h2", abilities=None)) == {"h2": "it has not said what its hypervisor can do"}


@pytest.mark.parametrize(("lacks", "told"), [("", ""), ("no CPU feature avx2", "no CPU feature avx2")])
def test_a_cpu_is_where_the_host_says_that_it_has_it(lacks: str, told: str) -> None:
    abilities = HostAbilities(answers=(CpuAnswer(_QUESTION, lacks),))

    assert verdicts(running(cpu=_BOUND).with_host("h2", abilities=abilities)) == {"h2": told}


def test_a_cpu_that_a_host_was_not_asked_for_is_not_taken_for_granted() -> None:
    assert verdicts(running(cpu=_BOUND)) == {"h2": "it has not said whether it has that CPU"}


def test_emulation_that_takes_what_there_is_fits_anywhere() -> None:
    assert verdicts(running(cpu=replace(_BOUND, check="none"))) == {"h2": ""}


@pytest.mark.parametrize("mode", ["host-passthrough", "maximum"])
@pytest.mark.parametrize(("theirs", "fits"), [("EPYC", True), ("Skylake-Server", False)])
def test_the_whole_cpu_of_a_host_is_only_on_hosts_with_the_same(mode: str, theirs: str, fits: bool) -> None:
    fleet = running(cpu=GuestCpu(mode))
    for name, model in (("h1", "EPYC"), ("h2", theirs)):
        fleet = fleet.with_host(name, abilities=HostAbilities(cpus={"kvm": GuestCpu("custom", model)}))

    assert (verdicts(fleet)["h2"] == "") is fits


def test_a_machine_type_has_to_be_there_in_its_very_version() -> None:
    abilities = HostAbilities(machines={"kvm": ("pc-q35-6.0", "q35")})

    assert verdicts(running().with_host("h2", abilities=abilities)) == {"h2": "no machine type pc-q35-7.2"}


@pytest.mark.parametrize("device", ["hostdev", "filesystem", "interface type='bridge:br0'", "disk device='cdrom'"])
def test_a_device_that_its_host_alone_may_have_keeps_it_there(device: str) -> None:
    assert verdicts(seen(running(), restricted=(device,))) == {"h2": f"{device} can't be moved"}


def test_a_device_that_any_host_has_is_no_obstacle() -> None:
    assert verdicts(seen(running(), restricted=("sound", "tpm"))) == {"h2": ""}


@pytest.mark.parametrize(
    ("state", "told"), [("paused", "its guest is paused"), ("shutdown", "its guest is shutting down")]
)
def test_a_guest_that_does_not_run_stays(state: str, told: str) -> None:
    assert verdicts(seen(running(), state=state)) == {"h2": told}


def test_a_vm_that_is_off_goes_where_all_its_disks_are() -> None:
    stays = "its disk root is on h1 alone, and only copied while it runs"

    assert verdicts(running(vm(runStrategy="Halted"), shared=False)) == {"h2": stays}
    assert verdicts(running(vm(runStrategy="Halted"))) == {"h2": ""}


def test_a_host_whose_address_means_something_on_the_controller_alone_can_not_be_reached() -> None:
    fleet = running().with_specs(host("h2", uri="qemu:///system"), without=["Host/h2"])

    assert verdicts(fleet) == {"h2": "h1 can't reach it: its uri is good on the controller alone (see peerUri)"}


def test_room_is_wanted_for_what_the_guest_has_though_its_spec_wants_less_from_its_next_boot_on() -> None:
    fleet = running(vm(memory="8GiB")).with_specs(vm(memory="1GiB"), host("h2", reserved={"memory": "10GiB"}))

    assert verdicts(fleet) == {"h2": "lacks 2GiB of memory"}


def test_a_name_that_is_taken_there_keeps_it_off() -> None:
    fleet = running()

    assert verdicts(fleet.with_domain(stranger("web", fleet.domain().config), "h2")) == {
        "h2": "another domain has its name or UUID, on h2"
    }


def test_a_network_that_is_not_there_keeps_it_off() -> None:
    fleet = running().with_network(observed_network(uuid="theirs", mode="nat"), "h2")

    assert verdicts(fleet)["h2"].startswith("network lan")


def test_local_disks_want_their_room_there() -> None:
    fleet = running(shared=False)
    pool = fleet.inventory.hosts["h2"].pools["vms"]

    assert verdicts(fleet) == {"h2": ""}
    assert verdicts(fleet.with_pool(replace(pool, available=GIB), "h2")) == {"h2": "pool vms −9GiB"}


def test_a_disk_of_its_name_that_is_there_already_is_not_written_over() -> None:
    fleet = running(shared=False)
    volumes = fleet.inventory.hosts["h1"].pools["vms"].volumes
    pool = replace(fleet.inventory.hosts["h2"].pools["vms"], volumes=volumes)

    assert verdicts(fleet.with_pool(pool, "h2")) == {"h2": "a disk root of it is there already"}

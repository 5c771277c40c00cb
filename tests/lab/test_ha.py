"""Lost hosts, with real BMCs: their guests boot again elsewhere on proof, and never run twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.copies import watched
from tests.lab.ha_fleet import VMS, HaFleet, running_ha_fleet
from tests.lab.hosts import Lab, wait_for

TIMELINE = [
    "host-last-seen",
    "host-suspect",
    "host-unreachable",
    "fence-began",
    "fence-proof",
    "vm-defined",
    "vm-running",
]


@pytest.fixture(scope="module")
def running_fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaFleet]:
    """One fleet for all stories, of guests that boot."""
    with running_ha_fleet(lab, tmp_path_factory.mktemp("ha")) as fleet:
        yield fleet


@pytest.fixture
def fleet(running_fleet: HaFleet) -> HaFleet:
    """The fleet with all hosts online, all VMs running once, and nothing to do."""
    running_fleet.settle()
    return running_fleet


def test_after_a_power_cut_the_devices_word_is_proof_and_all_vms_boot_elsewhere(fleet: HaFleet) -> None:
    lost, vms = fleet.fullest()
    assert len(vms) == 2
    booted = fleet.wait_until_booted()

    with watched(fleet.lab, VMS) as copies:
        lost.power_cut()
        fleet.wait_until_elsewhere(vms, lost)

    assert fleet.wait_until_booted(booted, again=vms) == {vm: booted[vm] + (vm in vms) for vm in VMS}
    assert fleet.kind_of_proof(lost) == "found-off"
    assert "its fence device says that the power is off" in fleet.controller.ask("why", f"host/{lost.name}").out
    assert copies.twice == []
    assert fleet.health()[lost.name] == "fenced"


def test_a_host_that_is_cut_off_is_fenced_first_and_returns_without_running_anything_twice(fleet: HaFleet) -> None:
    """It comes back with its old VMs defined and autostarted: they are removed, the disks stay, the others run on."""
    lost, vms = fleet.fullest()
    booted = fleet.wait_until_booted()

    with watched(fleet.lab, VMS) as copies:
        lost.network_cut()
        for vm in vms:
            lost.virsh("autostart", vm)
        fleet.wait_until_elsewhere(vms, lost)
        was_fenced = not lost.is_on
        homes = fleet.where()
        lost.network_restore()
        lost.power_on()
        for vm in vms:  # as libvirt-guests does at boot; refused by the lock of the disk, or gone already
            lost.exec(["virsh", "start", vm], check=False)
        wait_for(lambda: fleet.health()[lost.name] == "online", 60, f"{lost.name} is not online")

    assert was_fenced
    assert copies.samples > 0
    assert copies.twice == []
    assert not {*vms} & {*lost.virsh("list", "--all", "--name").split()}
    assert fleet.where() == homes
    assert fleet.wait_until_booted(booted, again=vms) == {vm: booted[vm] + (vm in vms) for vm in VMS}
    for vm in vms:
        told = fleet.timeline(vm)
        text = fleet.controller.ask("why", f"vm/{vm}").out
        assert [event for event, _ in told] == TIMELINE
        assert [at for _, at in told] == sorted(at for _, at in told)
        assert all(event in text for event in TIMELINE)

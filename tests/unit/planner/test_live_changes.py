"""A running guest is changed as it runs wherever that works; what is left waits for a reboot, and is told apart."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, NicConfig
from reconciler.model.live_edit import Plug, Replug, SetMemory, SetVcpus, Unplug
from reconciler.model.steps import EditLive, RedefineDomain, StopDomain
from tests.support.fleets import GIB, Story, network, story, vm

_ROOT = {"name": "root", "size": "10GiB", "pool": "vms"}
_DATA = {"name": "data", "size": "20GiB", "pool": "vms"}


def _memory(now: str) -> dict[str, Any]:
    return {"memory": now, "maxMemory": "4GiB"}


def running(**spec: Any) -> Story:
    return story(vm(**spec)).converged()


def changed(fleet: Story, **spec: Any) -> Story:
    return fleet.with_specs(vm(**spec), without=["VirtualMachine/web"])


def edits(fleet: Story) -> list[Any]:
    return [action.step.edit for action in fleet.plan().actions if isinstance(action.step, EditLive)]


def told(fleet: Story) -> list[tuple[str, str, str, str]]:
    return [
        (change.field, change.old, change.new, change.disruption)
        for action in fleet.plan().actions
        for change in action.changes
        if isinstance(action.step, EditLive | RedefineDomain) and change.field != "applied spec"
    ]


def pending(fleet: Story) -> list[str]:
    unmet = fleet.unmet().get("restart-pending")
    return [change.field for change in unmet.changes] if unmet else []


@pytest.mark.parametrize(
    ("before", "after", "edit", "field"),
    [
        (
            {"memory": "1GiB", "maxMemory": "4GiB"},
            {"memory": "2GiB", "maxMemory": "4GiB"},
            SetMemory(2 * GIB),
            "memory",
        ),
        ({"memory": "2GiB", "maxMemory": "4GiB"}, {"memory": "1GiB", "maxMemory": "4GiB"}, SetMemory(GIB), "memory"),
        ({"cpu": {"count": 1, "max": 4}}, {"cpu": {"count": 3, "max": 4}}, SetVcpus(3), "cpu.count"),
        ({"cpu": {"count": 3, "max": 4}}, {"cpu": {"count": 1, "max": 4}}, SetVcpus(1), "cpu.count"),
    ],
    ids=["more memory", "less memory", "more CPUs", "fewer CPUs"],
)
def test_what_is_below_its_ceiling_is_changed_while_the_guest_runs(
    before: dict[str, Any], after: dict[str, Any], edit: object, field: str
) -> None:
    fleet = changed(running(**before), **after)

    assert edits(fleet) == [edit]
    assert [(name, disruption) for name, _, _, disruption in told(fleet)] == [(field, "live")]
    assert pending(fleet) == []
    assert fleet.plan().worst == "live"


def test_under_emulation_a_cpu_is_taken_away_at_the_next_boot() -> None:
    """QEMU would not survive it."""
    fleet = running(cpu={"count": 3, "max": 4}, domainType="qemu")

    after = changed(fleet, cpu={"count": 1, "max": 4}, domainType="qemu")

    assert edits(after) == []
    assert pending(after.applied()) == ["cpu.count"]


def test_the_definition_comes_first_so_that_the_guest_does_not_lose_it_at_its_next_boot() -> None:
    fleet = changed(running(cpu={"count": 1, "max": 2}), cpu={"count": 2, "max": 2})

    live, redefine = fleet.action("edit-live"), fleet.action("redefine-domain")

    assert redefine.id in live.after


def test_what_is_above_its_ceiling_waits_for_a_reboot() -> None:
    fleet = changed(running(memory="1GiB"), memory="2GiB")

    assert edits(fleet) == []
    assert told(fleet) == [("memory", "1GiB", "2GiB", "reboot")]
    assert pending(fleet.applied()) == ["memory"]


def test_disks_and_cards_are_plugged_in() -> None:
    fleet = changed(running(disks=[_ROOT]), disks=[_ROOT, _DATA], networks=[{"network": "lan"}, {"network": "lan"}])

    assert {(type(edit), type(edit.device)) for edit in edits(fleet)} == {(Plug, DiskConfig), (Plug, NicConfig)}
    assert pending(fleet) == []


def test_disks_and_cards_are_unplugged() -> None:
    fleet = running(disks=[_ROOT, _DATA], networks=[{"network": "lan"}, {"network": "lan"}])

    after = changed(fleet, disks=[_ROOT], networks=[{"network": "lan"}])

    assert [type(edit) for edit in edits(after)] == [Unplug, Unplug]


def test_a_card_goes_to_another_network_without_being_unplugged() -> None:
    fleet = story(vm(), network("dmz")).converged()

    after = fleet.with_specs(vm(networks=[{"network": "dmz"}]), without=["VirtualMachine/web"])

    assert [(type(edit), edit.nic.network) for edit in edits(after)] == [(Replug, "dmz")]


def test_a_card_of_another_model_needs_a_reboot() -> None:
    fleet = changed(running(), networks=[{"network": "lan", "model": "e1000e"}])

    assert edits(fleet) == []
    assert pending(fleet.applied())


@pytest.mark.parametrize("bus", ["sata", "scsi"])
def test_a_disk_that_its_machine_has_no_place_for_waits_for_a_reboot(bus: str) -> None:
    fleet = changed(running(disks=[_ROOT]), disks=[_ROOT, {**_DATA, "bus": bus}])

    assert edits(fleet) == []
    assert pending(fleet.applied()) == ["disks[data]"]


def test_a_scsi_disk_is_plugged_in_where_there_is_one_already() -> None:
    scsi = {**_ROOT, "bus": "scsi"}
    fleet = changed(running(disks=[scsi]), disks=[scsi, {**_DATA, "bus": "scsi"}])

    assert [type(edit) for edit in edits(fleet)] == [Plug]


def test_whoever_wants_changes_staged_gets_them_staged() -> None:
    fleet = running(cpu={"count": 1, "max": 2}, updatePolicy="stage")

    after = changed(fleet, cpu={"count": 2, "max": 2}, updatePolicy="stage")

    assert edits(after) == []
    assert pending(after.applied()) == ["cpu.count"]


def test_a_reboot_that_comes_anyway_brings_about_everything() -> None:
    fleet = running(cpu={"count": 1, "max": 2}, updatePolicy="restart")

    after = changed(fleet, cpu={"count": 2, "max": 2}, memory="2GiB", updatePolicy="restart")

    assert edits(after) == []
    assert any(isinstance(action.step, StopDomain) for action in after.plan().actions)


def test_where_no_reboot_is_needed_there_is_none_even_if_it_is_allowed() -> None:
    fleet = running(cpu={"count": 1, "max": 2}, updatePolicy="restart")

    after = changed(fleet, cpu={"count": 2, "max": 2}, updatePolicy="restart")

    assert edits(after) == [SetVcpus(2)]
    assert after.plan().worst == "live"


def test_what_somebody_changed_in_the_running_guest_alone_is_drift_and_is_undone() -> None:
    fleet = running(cpu={"count": 2, "max": 4})
    live = replace(fleet.domain().config, vcpus=4)

    after = fleet.with_domain(replace(fleet.domain(), live=live))

    assert edits(after) == [SetVcpus(2)]
    assert after.action("edit-live").why == "drift"


def test_what_the_guest_has_already_costs_nothing_in_its_definition() -> None:
    """`virsh setvcpus --live` by hand, and then the same in the specs."""
    fleet = running(cpu={"count": 2, "max": 4})
    live = replace(fleet.domain().config, vcpus=4)

    after = changed(fleet.with_domain(replace(fleet.domain(), live=live)), cpu={"count": 4, "max": 4})

    assert edits(after) == []
    assert told(after) == [("cpu.count", "2", "4", "none")]


def test_the_disk_that_a_guest_booted_from_is_never_taken_while_it_runs() -> None:
    fleet = changed(running(disks=[_ROOT, _DATA]), disks=[_DATA])

    assert edits(fleet) == []
    assert fleet.action("redefine-domain").disruption == "rebuild"


def test_a_disk_that_takes_anothers_place_is_plugged_in_once_that_one_is_out() -> None:
    """The guest has not let go of it yet, and its name is free in the definition alone: QEMU would refuse the next."""
    before = running(disks=[_ROOT, _DATA])
    without = before.edited(disks=before.domain().config.disks[:1])

    fleet = changed(without, disks=[_ROOT, {**_DATA, "name": "other"}])

    live = {type(action.step.edit): action for action in fleet.plan().actions if isinstance(action.step, EditLive)}
    assert live[Plug].step.edit.device.target == live[Unplug].step.edit.device.target
    assert live[Unplug].id in live[Plug].after
    assert pending(fleet.converged()) == []

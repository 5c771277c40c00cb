"""A running guest is changed as it runs wherever that works; what is left waits for a reboot, and is told apart."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, NicConfig
from reconciler.model.live_edit import (
    Adjust,
    Describe,
    EjectSeed,
    InsertSeed,
    Plug,
    Replug,
    SetMemory,
    SetVcpus,
    Unplug,
)
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


def limited(**io_tune: Any) -> dict[str, Any]:
    return {"disks": [{**_ROOT, "ioTune": io_tune}] if io_tune else [_ROOT]}


def with_card(**fields: Any) -> dict[str, Any]:
    return {"networks": [{"network": "lan", **fields}]}


_SLOW: dict[str, Any] = {"bandwidth": {"inbound": {"average": "10MiB/s", "burst": "1MiB"}}}


@pytest.mark.parametrize(
    ("before", "after", "told_of"),
    [
        (limited(), limited(totalBytes="50MiB/s"), ("disks[root].ioTune", "unlimited", "50MiB/s")),
        (limited(readIops=9), limited(), ("disks[root].ioTune", "read 9 IOPS", "unlimited")),
        (with_card(), with_card(link="down"), ("networks[{mac}].link", "up", "down")),
        (
            with_card(),
            with_card(**_SLOW),
            ("networks[{mac}].bandwidth", "unlimited", "in 10MiB/s with bursts of 1MiB"),
        ),
        (with_card(**_SLOW), with_card(), ("networks[{mac}].bandwidth", "in 10MiB/s with bursts of 1MiB", "unlimited")),
    ],
    ids=["a limit", "no limit any more", "link down", "a slow card", "a quick card"],
)
def test_limits_and_links_are_set_while_the_guest_runs(
    before: dict[str, Any], after: dict[str, Any], told_of: tuple[str, str, str]
) -> None:
    fleet = changed(running(**before), **after)

    assert [type(edit) for edit in edits(fleet)] == [Adjust]
    mac = fleet.domain().config.nics[0].mac
    assert told(fleet) == [(told_of[0].format(mac=mac), *told_of[1:], "live")]
    assert fleet.converged().domain().live == fleet.converged().domain().config


def test_a_card_that_goes_to_another_network_and_is_limited_is_changed_in_one_go() -> None:
    fleet = story(vm(), network("dmz")).converged()

    after = fleet.with_specs(vm(networks=[{"network": "dmz", **_SLOW}]), without=["VirtualMachine/web"])

    assert [type(edit) for edit in edits(after)] == [Replug]
    assert len(told(after)) == 2


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ({}, {"cloudInit": {"userData": "#!/bin/sh\n"}}, [InsertSeed]),
        ({"cloudInit": {"userData": "#!/bin/sh\n"}}, {}, [EjectSeed]),
        (
            {"cloudInit": {"userData": "#!/bin/sh\n", "onChange": "reseed"}},
            {"cloudInit": {"userData": "#!/bin/sh\nreboot\n", "onChange": "reseed"}},
            [EjectSeed, InsertSeed],
        ),
    ],
    ids=["a seed", "no seed any more", "another seed"],
)
def test_a_seed_is_taken_out_and_put_in_while_the_guest_runs(
    before: dict[str, Any], after: dict[str, Any], kinds: list[type]
) -> None:
    fleet = changed(running(**before), **after)

    assert [type(edit) for edit in edits(fleet)] == kinds
    assert pending(fleet) == []
    assert [(field, disruption) for field, _, _, disruption in told(fleet)] == [("cloudInit", "live")]


def test_what_libvirt_tells_people_of_a_vm_is_changed_while_it_runs() -> None:
    fleet = changed(running(title="Shop"), description="Two\nlines")

    assert edits(fleet) == [Describe("", "Two\nlines")]
    assert [row[:3] for row in told(fleet)] == [("title", "Shop", "none"), ("description", "none", "Two lines")]


def test_a_limit_that_somebody_took_off_the_running_guest_is_drift_and_is_put_back() -> None:
    """`virsh blkdeviotune`, of which libvirt tells nobody."""
    fleet = running(**limited(totalIops=100))
    disks = tuple(replace(disk, io_tune=None) for disk in fleet.domain().config.disks)

    after = fleet.edited(live=True, disks=disks)

    assert edits(after) == [Adjust(fleet.domain().config.disks[0])]
    assert after.action("edit-live").why == "drift"


def test_the_running_domain_is_marked_as_its_definition_is() -> None:
    fleet = running()
    other = replace(fleet.domain().live, mark=None)  # type: ignore[type-var]

    after = fleet.with_domain(replace(fleet.domain(), live=other))

    assert after.kinds() == ["redefine-domain"]
    assert after.plan().worst == "none"
    assert after.converged().domain().live == fleet.domain().live


def test_a_cpu_model_waits_for_a_reboot() -> None:
    staged = changed(running(), cpu={"model": "EPYC"}).applied()

    assert pending(staged) == ["cpu.model"]


def test_a_guest_that_boots_from_another_disk_next_time_is_told_as_another_system() -> None:
    fleet = changed(running(disks=[_ROOT, _DATA]), disks=[_DATA, _ROOT])

    assert fleet.action("redefine-domain").disruption == "rebuild"
    assert [disk.target for disk in fleet.applied().domain().config.disks] == ["vda", "vdb"]
    assert "boot disk" in pending(fleet.applied())


def test_a_disk_that_is_added_never_comes_before_the_one_that_is_booted_from() -> None:
    """Libvirt sorts disks by name and boots from the first; `vda` has become free."""
    alone = changed(running(disks=[_DATA, _ROOT]), disks=[_ROOT]).applied()
    off = alone.with_domain(replace(alone.domain(), live=None, state="shutoff")).converged()

    added = changed(off, disks=[_ROOT, {**_DATA, "name": "new"}]).applied()

    assert [disk.target for disk in added.domain().config.disks] == ["vdb", "vdc"]


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

"""Drills are begun when they are due and there is room to spare; what is left of one is removed, by its name."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.drill import DrillResult
from reconciler.model.steps import DrillImage, EndDrill
from reconciler.model.version import ImageVersion, VersionDisk
from tests.support.fleets import FLEET, GIB, NOW, Story, image, observed_network, story, stranger, vm, volume

DAILY = {"schedule": "0 4 * * *", "expect": "agent-ping", "timeout": "2m"}
PARENT = ImageVersion(
    image="gold",
    stamp="20261120t020000z",
    taken_at=NOW - 90_000,
    vm="web",
    vm_uuid=identity.vm_uuid(FLEET, "web"),
    pool="vms",
    host="h1",
    generation="g1",
    spec_hash="s",
    consistency="quiesced",
    disks=(VersionDisk("root", f"{FLEET}.gold.20261120t020000z.root.qcow2", 10 * GIB, GIB, "sha256:0"),),
)
NEWEST = replace(
    PARENT,
    stamp="20261121t020000z",
    parent=PARENT.stamp,
    disks=(
        VersionDisk(
            "root", f"{FLEET}.gold.20261121t020000z.root.qcow2", 10 * GIB, GIB, "sha256:1", PARENT.disks[0].volume
        ),
    ),
)
OVERLAY = f"{FLEET}.gold.20261121t020000z.root.drill.qcow2"
NAME = f"{FLEET}.drill.gold"


def gold(**drill: Any) -> Any:
    return image("gold", source={"vm": "web"}, pool="vms", drill={**DAILY, **drill})


def captured(**drill: Any) -> Story:
    """A VM that runs, with two versions of it."""
    return story(vm()).converged().with_specs(gold(**drill)).with_ledger(versions={"gold": (PARENT, NEWEST)})


def drilled(fleet: Story) -> DrillImage:
    step = fleet.action("drill-image").step
    assert isinstance(step, DrillImage)
    return step


def test_the_newest_version_is_booted_as_the_vm_is_and_can_meet_nobody() -> None:
    fleet = captured()
    own, step = fleet.domain().config, drilled(fleet)

    assert (step.stamp, step.pool, step.timeout, step.console) == (NEWEST.stamp, "vms", 120.0, "")
    assert (step.config.memory, step.config.vcpus, step.config.machine) == (own.memory, own.vcpus, own.machine)
    assert [disk.path for disk in step.config.disks] == [f"/srv/vms/{OVERLAY}"]
    assert [(disk.volume, disk.chain) for disk in step.disks] == [
        (OVERLAY, (NEWEST.disks[0].volume, PARENT.disks[0].volume))
    ]
    assert step.config.uuid != own.uuid
    assert step.config.mark is None
    assert not step.config.autostart
    assert not {nic.mac for nic in step.config.nics} & {nic.mac for nic in own.nics}
    assert {nic.network for nic in step.config.nics} == {step.network.name} == {NAME}
    assert (step.network.mode, step.network.bridge, step.network.subnet) == ("isolated", None, None)


def test_what_its_console_is_to_say_is_taken_along() -> None:
    assert drilled(captured(expect={"console": "login:"})).console == "login:"


def test_one_that_had_its_run_waits_for_the_next_instant() -> None:
    fleet = captured()
    done = DrillResult(NEWEST.stamp, NOW, True, "", 3.0, NEWEST.stamp, NOW)

    assert fleet.with_ledger(drills={"gold": done}).plan().empty
    assert drilled(fleet.with_ledger(drills={"gold": replace(done, at=NOW - 86_400)}))


def test_one_that_failed_is_told_until_another_one_passes() -> None:
    failed = DrillResult(NEWEST.stamp, NOW, False, "its guest agent did not answer within 2m", 120.0)
    fleet = captured().with_ledger(drills={"gold": failed})

    told = fleet.unmet("Image/gold")["drill-failed"]

    assert fleet.plan().empty
    assert told.detail == "the drill of gold@2026-11-21T02:00Z failed: its guest agent did not answer within 2m"
    assert (told.severity, told.hint) == ("blocked", "reconciler why Image/gold")


def test_without_room_it_waits_and_takes_nobody_s() -> None:
    fleet = captured().with_specs(vm(memory="15GiB"))

    waits = fleet.unmet("Image/gold")["drill-waits"]

    assert "drill-image" not in fleet.kinds()
    assert waits.severity == "info"
    assert "lacks" in waits.detail


def test_it_is_no_vm_s_turn_that_it_takes() -> None:
    """A VM for which there is no host goes first, whatever a drill would fit in."""
    fleet = captured().with_specs(vm("big", memory="900GiB"))

    assert "others wait for a host" in fleet.unmet("Image/gold")["drill-waits"].detail


def test_without_the_spec_of_the_vm_nobody_knows_what_to_boot_it_on() -> None:
    fleet = captured().with_ledger(versions={"gold": (replace(NEWEST, vm="gone", parent=None),)})

    assert "VirtualMachine/gone is not in the specs" in fleet.unmet("Image/gold")["drill-waits"].detail


def test_what_is_left_of_a_drill_is_removed_first_whatever_the_ledger_knows() -> None:
    """The throw-away VM is found by its name and UUID, its network too, and its overlays by theirs."""
    fleet = captured()
    config = fleet.domain().config
    left = stranger(NAME, config, uuid=identity.drill_uuid(FLEET, "gold"))
    network = observed_network(NAME, uuid=identity.drill_uuid(FLEET, "gold", "Network"))
    fleet = fleet.with_domain(left).with_network(network, on="h1").with_volumes(volume(OVERLAY))

    step = next(action.step for action in fleet.plan().actions if action.host == "h1")

    assert set(fleet.kinds()) == {"end-drill"}
    assert isinstance(step, EndDrill)
    assert (step.uuid, step.volumes) == (left.uuid, (("vms", OVERLAY),))
    assert fleet.with_specs(without=["Image/gold"]).kinds("Image/gold")[0] == "end-drill"


def test_a_stranger_with_such_a_name_is_left_alone() -> None:
    fleet = captured().with_domain(stranger(NAME, captured().domain().config))

    assert "end-drill" not in fleet.kinds()


def test_one_that_is_under_way_is_left_alone() -> None:
    left = stranger(NAME, captured().domain().config, uuid=identity.drill_uuid(FLEET, "gold"))
    fleet = captured().with_domain(left).with_ledger(in_flight=frozenset({"Image/gold"}))

    assert fleet.plan().empty

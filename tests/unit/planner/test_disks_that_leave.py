"""A disk that is taken out of a VM's spec is kept, and said to be; without its first one a VM is another system."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainState
from tests.support.fleets import Story, story, vm

EXTRA_DISK = DiskConfig("vdb", "/tmp/stick.raw", "raw")  # noqa: S108  somebody's file, never opened


def running(**spec: Any) -> Story:
    return story(vm(**spec)).converged()


def stopped(fleet: Story) -> Story:
    return fleet.with_domain(replace(fleet.domain(), state="shutoff", live=None, reason=""))


def with_disks(*names: str) -> dict[str, Any]:
    return {"disks": [{"name": name, "pool": "vms", "image": "debian", "size": "10GiB"} for name in names]}


@pytest.mark.parametrize("state", ["running", "shutoff"])
def test_a_vm_whose_boot_disk_is_renamed_is_rebuilt_and_the_old_disk_is_kept(state: DomainState) -> None:
    fleet = running(**with_disks("root"))
    if state == "shutoff":
        fleet = stopped(fleet)
    renamed = fleet.with_specs(vm(**with_disks("sys")), without=["VirtualMachine/web"])

    redefine = renamed.action("redefine-domain")
    changes = {change.field: (change.new, change.disruption) for change in redefine.changes}
    assert changes["disks[root]"] == ("unplugged, kept as prod.web.root.qcow2", "rebuild")
    assert redefine.disruption == "rebuild"
    assert redefine.detail.endswith("; it boots from another disk then")
    assert renamed.plan().worst == "rebuild"


def test_a_disk_that_is_taken_out_is_kept_and_said_to_be() -> None:
    fleet = running(**with_disks("root", "data")).with_specs(vm(**with_disks("root")), without=["VirtualMachine/web"])

    unplug = fleet.action("edit-live")
    changes = {change.field: (change.new, change.disruption) for change in unplug.changes}
    assert changes["disks[data]"] == ("unplugged, kept as prod.web.data.qcow2", "live")


def test_a_disk_of_somebody_else_is_just_taken_out() -> None:
    fleet = running()
    edited = fleet.edited(disks=(EXTRA_DISK, *fleet.domain().config.disks))

    redefine = edited.action("redefine-domain")
    assert ("disks[stick.raw]", "none") in [(change.field, change.new) for change in redefine.changes]
    assert redefine.disruption == "none"

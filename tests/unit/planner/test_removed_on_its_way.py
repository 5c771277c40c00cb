"""The spec of a VM is deleted while it is on its way: that it is removed on arrival is told before."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.unit.planner.test_moves import fleet, on_its_way, to_rack_b


@pytest.mark.parametrize(
    ("policy", "disks", "cost"),
    [("retain", "its disks are kept", "destroy"), ("delete", "with its disks", "data-loss")],
)
def test_that_a_vm_on_its_way_is_removed_on_arrival_is_told_before(policy: str, disks: str, cost: str) -> None:
    gone = on_its_way(to_rack_b(fleet(deletionPolicy=policy))).with_specs(without=["VirtualMachine/web"])

    told = gone.unmet()["removal-waits"]

    assert gone.kinds("VirtualMachine/web") == ["migrate-domain"]
    assert f"once it has come to h2 it is shut down and undefined there, {disks}" in told.detail
    assert [change.disruption for change in told.changes] == [cost]


def test_a_removal_that_is_not_certain_is_not_foretold() -> None:
    gone = on_its_way(to_rack_b(fleet())).with_specs(without=["VirtualMachine/web"])
    doubted = replace(gone, specs=replace(gone.specs, removal_hold="the directory is empty"))

    assert "removal-waits" not in doubted.unmet()

"""Names that follow from the fleet and the spec."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.identity import (
    DiskVolume,
    disk_volume,
    network_uuid,
    parse_disk_volume,
    pool_uuid,
    vm_uuid,
)

_NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
_NAMESPACE = UUID("9d0c3f6e-6a4e-5f0e-9a52-5e1f3f0f7b11")


@given(st.text(), st.text())
def test_uuids_are_those_of_rfc_4122_version_5_in_our_namespace(fleet: str, name: str) -> None:
    made = (vm_uuid(fleet, name), pool_uuid(fleet, name), network_uuid(fleet, name))

    kinds = ("VirtualMachine", "StoragePool", "Network")
    assert made == tuple(str(uuid5(_NAMESPACE, f"{fleet}/{kind}/{name}")) for kind in kinds)


@given(_NAMES, _NAMES, _NAMES, st.integers(0, 99), st.sampled_from(["qcow2", "raw"]))
def test_the_name_of_a_disks_volume_says_whose_it_is(
    fleet: str, vm: str, disk: str, generation: int, kind: Literal["qcow2", "raw"]
) -> None:
    volume = disk_volume(fleet, vm, disk, kind, generation)

    assert parse_disk_volume(fleet, volume) == DiskVolume(vm, disk, generation, kind)


@pytest.mark.parametrize(
    "volume",
    [
        "other.web.root.qcow2",
        "f.base-81d93757457f988523814ae0009837ae.qcow2",
        "f.base-81d93757457f988523814ae0009837ae.qcow2.complete",
        "f.web.seed-0123456789abcdef.iso",
        "f.golden.20261122t020000z.root.qcow2",
        "f.golden.20261122t020000z.r1.qcow2",
        "f.golden.20261122t020000z.version.json",
        "f.web.root.r0.qcow2",
        "f.web.root.2.qcow2",
    ],
)
def test_no_other_volume_is_taken_for_a_disk(volume: str) -> None:
    assert parse_disk_volume("f", volume) is None

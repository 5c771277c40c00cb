"""Names that follow from the fleet and the spec."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.identity import network_uuid, pool_uuid, vm_uuid

_NAMESPACE = UUID("9d0c3f6e-6a4e-5f0e-9a52-5e1f3f0f7b11")


@given(st.text(), st.text())
def test_uuids_are_those_of_rfc_4122_version_5_in_our_namespace(fleet: str, name: str) -> None:
    made = (vm_uuid(fleet, name), pool_uuid(fleet, name), network_uuid(fleet, name))

    kinds = ("VirtualMachine", "StoragePool", "Network")
    assert made == tuple(str(uuid5(_NAMESPACE, f"{fleet}/{kind}/{name}")) for kind in kinds)

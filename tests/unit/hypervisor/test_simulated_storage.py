"""Simulated pools and networks behave as libvirt's were measured to."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused, HostUnreachable, NoSpace, ObjectConflict
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_invariants import violations
from tests.unit.hypervisor.simulated_objects import GIB, LAN, OTHER, QCOW2, TARGET


class TestStorage:
    def test_other_host_lists_a_new_volume_after_a_refresh_only(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)
        h2 = fleet.host("h2")

        assert h2.pool("vms").volumes == {}
        assert set(h2.pool("vms", refresh=True).volumes or ()) == {"v"}

    def test_volume_asked_for_by_name_is_looked_for_on_the_storage(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)

        assert fleet.host("h2").volume("vms", "v") is not None

    def test_volume_that_a_host_does_not_know_of_is_overwritten_and_that_is_a_violation(
        self, fleet: SimulatedFleet
    ) -> None:
        fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)

        fleet.host("h2").create_volume("vms", "v", format="qcow2", capacity=GIB)

        assert "overwritten" in violations(fleet.world)[0]

    def test_known_volume_conflicts(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)

        with pytest.raises(ObjectConflict):
            fleet.host("h1").create_volume("vms", "v", format="raw", capacity=GIB)

    def test_uploaded_content_decides_the_format(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "v", format="raw", capacity=len(QCOW2))
        told: list[int] = []

        h1.upload_volume("vms", "v", io.BytesIO(QCOW2), len(QCOW2), told.append)

        volume = h1.volume("vms", "v")
        assert volume is not None
        assert (volume.format, volume.capacity, sum(told)) == ("qcow2", 3 * GIB, len(QCOW2))

    def test_cancelled_upload_leaves_a_partial_volume(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "v", format="raw", capacity=4 << 20)

        def cancel(_done: int) -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            h1.upload_volume("vms", "v", io.BytesIO(bytes(4 << 20)), 4 << 20, cancel)
        assert fleet.people("h1").file(f"{TARGET}/v").written == 1 << 20

    def test_host_can_die_in_the_middle_of_an_upload(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "v", format="raw", capacity=4 << 20)

        with pytest.raises(HostUnreachable):
            h1.upload_volume("vms", "v", io.BytesIO(bytes(4 << 20)), 4 << 20, lambda _done: fleet.power_off("h1"))

    def test_clone_is_as_large_as_asked_for_and_stands_alone(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "base", format="qcow2", capacity=GIB)

        clone = h1.clone_volume("vms", "v", format="qcow2", capacity=2 * GIB, source="base", source_format="qcow2")

        assert (clone.capacity, clone.backing_path) == (2 * GIB, None)

    def test_full_pool_has_no_space(self, fleet: SimulatedFleet) -> None:
        fleet.fill_disk("h2", TARGET)

        with pytest.raises(NoSpace):
            fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)

    def test_volume_in_use_is_not_grown(self, running: SimulatedFleet) -> None:
        with pytest.raises(HostRefused, match="lock"):
            running.host("h1").grow_volume("vms", "web.qcow2", 2 * GIB, format="qcow2")

    def test_deleting_a_volume_in_use_is_a_violation(self, running: SimulatedFleet) -> None:
        running.host("h1").delete_volume("vms", "web.qcow2")

        assert any("deleted on h1 while in use by web" in text for text in violations(running.world))

    def test_deleting_a_volume_twice_is_fine(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").delete_volume("vms", "v")

        assert fleet.host("h1").volume("vms", "v") is None

    def test_inactive_pool_has_no_volumes_and_takes_none(self, fleet: SimulatedFleet) -> None:
        fleet.people("h1").set_pool_active("vms", active=False)

        assert fleet.host("h1").pool("vms").volumes is None
        with pytest.raises(HostRefused, match="not active"):
            fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)

    def test_volumes_are_listed_where_asked_for(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")

        assert h1.read().pools["vms"].volumes is None
        assert h1.read(pools_with_volumes=["vms"]).pools["vms"].volumes == {}

    def test_network_of_another_uuid_conflicts(self, fleet: SimulatedFleet) -> None:
        with pytest.raises(ObjectConflict):
            fleet.host("h1").define_network(replace(LAN, uuid=OTHER))

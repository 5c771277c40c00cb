"""Simulated domains behave as libvirt's and QEMU's were measured to."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from reconciler.errors import HostFault, HostRefused, ObjectConflict, ObjectNotFound
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_invariants import violations
from tests.support.domains import domain_config
from tests.unit.hypervisor.simulated_objects import GIB, OTHER, TARGET, UUID


class TestDomains:
    def test_machine_gets_a_version_when_defined_and_keeps_it(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")

        h1.define_domain(domain_config())
        fleet.people("h1").edit("web", machine="pc-q35-6.2")
        h1.define_domain(replace(domain_config(), memory=2 * GIB))

        assert h1.domain(UUID).config.machine == "pc-q35-6.2"

    def test_name_that_is_taken_conflicts(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").define_domain(domain_config())

        with pytest.raises(ObjectConflict, match="already exists"):
            fleet.host("h1").define_domain(domain_config(uuid=OTHER))

    def test_uuid_that_is_taken_conflicts(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").define_domain(domain_config())

        with pytest.raises(ObjectConflict, match="already defined"):
            fleet.host("h1").define_domain(domain_config("other", uuid=UUID))

    def test_redefinition_of_a_running_domain_waits_for_its_next_boot(self, running: SimulatedFleet) -> None:
        h1 = running.host("h1")

        h1.define_domain(replace(domain_config(), memory=2 * GIB))

        domain = h1.domain(UUID)
        assert domain.live is not None
        assert (domain.config.memory, domain.live.memory) == (2 * GIB, GIB)

    def test_definition_sets_autostart_and_leaves_what_is_not_ours(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.define_domain(domain_config())
        fleet.people("h1").add_unowned("web", "<hostdev/>")

        h1.define_domain(replace(domain_config(), autostart=True))

        assert h1.domain(UUID).config.autostart
        assert fleet.people("h1").entry("web").unowned == "<hostdev/>"

    def test_fingerprint_changes_with_anything_in_the_xml(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.define_domain(domain_config())
        before = h1.domain(UUID).fingerprint

        fleet.people("h1").add_unowned("web", "<hostdev/>")

        assert h1.domain(UUID).fingerprint != before

    def test_undefined_running_domain_lives_on_until_it_stops(self, running: SimulatedFleet) -> None:
        h1 = running.host("h1")

        h1.undefine_domain(UUID, keep_nvram=False)

        assert not h1.domain(UUID).persistent
        h1.destroy_domain(UUID)
        assert h1.sweep() == ()

    def test_shutdown_takes_its_time(self, running: SimulatedFleet) -> None:
        h1 = running.host("h1")

        h1.request_shutdown(UUID)

        assert h1.domain_state(UUID) == "running"
        running.clock.wait(threading.Event(), 2.0)
        assert h1.domain_state(UUID) == "shutoff"

    def test_what_ended_says_how_until_libvirtd_is_restarted(self, running: SimulatedFleet) -> None:
        h1, people = running.host("h1"), running.people("h1")
        people.crash("web")
        crashed = h1.domain(UUID).reason
        people.start("web")
        people.suspend("web")
        paused = h1.domain(UUID).reason
        h1.destroy_domain(UUID)
        people.restart_libvirtd()

        assert (crashed, paused, h1.domain(UUID).reason) == ("crashed", "user", "unknown")

    def test_unknown_domain_is_not_found(self, fleet: SimulatedFleet) -> None:
        with pytest.raises(ObjectNotFound):
            fleet.host("h1").domain(UUID)
        assert fleet.host("h1").domain_by_name("web") is None

    def test_running_domain_is_not_started_twice(self, running: SimulatedFleet) -> None:
        with pytest.raises(HostRefused, match="already running"):
            running.host("h1").start_domain(UUID)

    def test_disk_open_on_another_host_is_locked(self, running: SimulatedFleet) -> None:
        h2 = running.host("h2")
        h2.define_domain(domain_config())

        with pytest.raises(HostFault, match='Failed to get "write" lock'):
            h2.start_domain(UUID)
        assert violations(running.world) == ()

    def test_missing_disk_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").define_domain(domain_config())

        with pytest.raises(HostRefused, match="No such file"):
            fleet.host("h1").start_domain(UUID)

    def test_missing_base_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        base = h1.create_volume("vms", "base", format="qcow2", capacity=GIB)
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB, backing=base)
        h1.define_domain(domain_config())
        fleet.people("h1").remove_file(f"{TARGET}/base")

        with pytest.raises(HostRefused, match=f"{TARGET}/base"):
            h1.start_domain(UUID)

    def test_inactive_network_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB)
        h1.define_domain(domain_config())
        h1.stop_network("lan")

        with pytest.raises(HostRefused, match="not active"):
            h1.start_domain(UUID)

    def test_memory_that_is_not_there_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB)
        h1.define_domain(replace(domain_config(), memory=17 * GIB))

        with pytest.raises(HostRefused, match="Cannot allocate memory"):
            h1.start_domain(UUID)

    def test_disk_of_a_running_domain_grows_and_never_shrinks(self, running: SimulatedFleet) -> None:
        h1 = running.host("h1")
        h1.grow_disk(UUID, f"{TARGET}/web.qcow2", 2 * GIB)

        with pytest.raises(HostRefused, match="shrink"):
            h1.grow_disk(UUID, f"{TARGET}/web.qcow2", GIB)
        assert running.people("h1").file(f"{TARGET}/web.qcow2").capacity == 2 * GIB

    def test_emulation_only_host_refuses_kvm(self) -> None:
        fleet = SimulatedFleet()
        fleet.add_host("h1", domain_types=("qemu",))

        with pytest.raises(HostRefused, match="domaintype=kvm"):
            fleet.host("h1").define_domain(domain_config())

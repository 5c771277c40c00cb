"""The simulated fleet behaves, and misbehaves, as real hosts were measured to."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from reconciler.errors import HostRefused, HostTimeout, HostUnreachable, NoSpace, ObjectConflict, ObjectNotFound
from reconciler.hypervisor.interface import Fleet, HostEvent, Hypervisor
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_invariants import violations
from reconciler.hypervisor.simulated_world import MutatingCall, SimulatedCrashError
from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig
from reconciler.model.steps import NetworkConfig, PoolConfig

GIB: Final = 1 << 30
TARGET: Final = "/srv/vms"
POOL: Final = PoolConfig("vms", "00000000-0000-4000-8000-00000000000a", "dir", TARGET)
LAN: Final = NetworkConfig("lan", "00000000-0000-4000-8000-00000000000b", "nat", None, "10.0.0.0/24", dhcp=True)
UUID: Final = "00000000-0000-4000-8000-000000000001"
OTHER: Final = "00000000-0000-4000-8000-000000000002"
QCOW2: Final = b"QFI\xfb" + bytes(20) + (3 * GIB).to_bytes(8, "big") + bytes(1000)


def config(name: str = "web", uuid: str = UUID) -> DomainConfig:
    return DomainConfig(
        name=name,
        uuid=uuid,
        domain_type="kvm",
        machine="q35",
        firmware="bios",
        vcpus=1,
        max_vcpus=1,
        cpu_model="host-model",
        memory=GIB,
        max_memory=GIB,
        disks=(DiskConfig("vda", f"{TARGET}/{name}.qcow2", "qcow2"),),
        nics=(NicConfig("52:54:00:00:00:01", "lan"),),
        seed=None,
        graphics="none",
        agent_channel=True,
        serial_console=True,
        console_log=None,
        rng=True,
        balloon=True,
        autostart=False,
        mark=None,
    )


@pytest.fixture
def fleet() -> SimulatedFleet:
    """Two hosts that share the pool `vms`, each with the network `lan`."""
    made = SimulatedFleet(FakeClock())
    for name in ("h1", "h2"):
        made.add_host(name)
    made.share_directory(TARGET)
    for name in ("h1", "h2"):
        made.host(name).define_pool(POOL)
        made.host(name).define_network(LAN)
    return made


@pytest.fixture
def running(fleet: SimulatedFleet) -> SimulatedFleet:
    """`fleet` with `web` running on h1."""
    h1 = fleet.host("h1")
    h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB)
    h1.define_domain(config())
    h1.start_domain(UUID)
    return fleet


def test_fleet_and_hosts_implement_the_protocols(fleet: SimulatedFleet) -> None:
    door: Fleet = fleet
    host: Hypervisor = door.host("h1")

    assert host.name == "h1"
    assert door.names == ("h1", "h2")


def test_unknown_host_is_a_key_error(fleet: SimulatedFleet) -> None:
    with pytest.raises(KeyError):
        fleet.host("h9")


def test_host_that_leaves_the_specs_leaves_the_fleet_and_keeps_its_guests(running: SimulatedFleet) -> None:
    running.update({"h2": "qemu:///system"})

    assert running.names == ("h2",)
    running.update({"h1": "qemu:///system", "h2": "qemu:///system"})
    assert running.host("h1").domain_state(UUID) == "running"


def test_host_of_the_specs_without_a_machine_never_answers(fleet: SimulatedFleet) -> None:
    fleet.update({"h1": "qemu:///system", "h3": "qemu:///system"})

    with pytest.raises(HostUnreachable):
        fleet.host("h3").sweep()


class TestDomains:
    def test_machine_gets_a_version_when_defined_and_keeps_it(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")

        h1.define_domain(config())
        fleet.people("h1").edit("web", machine="pc-q35-6.2")
        h1.define_domain(replace(config(), memory=2 * GIB))

        assert h1.domain(UUID).config.machine == "pc-q35-6.2"

    def test_name_that_is_taken_conflicts(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").define_domain(config())

        with pytest.raises(ObjectConflict, match="already exists"):
            fleet.host("h1").define_domain(config(uuid=OTHER))

    def test_uuid_that_is_taken_conflicts(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").define_domain(config())

        with pytest.raises(ObjectConflict, match="already defined"):
            fleet.host("h1").define_domain(config(name="other"))

    def test_redefinition_of_a_running_domain_waits_for_its_next_boot(self, running: SimulatedFleet) -> None:
        h1 = running.host("h1")

        h1.define_domain(replace(config(), memory=2 * GIB))

        domain = h1.domain(UUID)
        assert domain.live is not None
        assert (domain.config.memory, domain.live.memory) == (2 * GIB, GIB)

    def test_definition_sets_autostart_and_leaves_what_is_not_ours(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.define_domain(config())
        fleet.people("h1").add_unowned("web", "<hostdev/>")

        h1.define_domain(replace(config(), autostart=True))

        assert h1.domain(UUID).config.autostart
        assert fleet.people("h1").entry("web").unowned == "<hostdev/>"

    def test_fingerprint_changes_with_anything_in_the_xml(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.define_domain(config())
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

    def test_unknown_domain_is_not_found(self, fleet: SimulatedFleet) -> None:
        with pytest.raises(ObjectNotFound):
            fleet.host("h1").domain(UUID)
        assert fleet.host("h1").domain_by_name("web") is None

    def test_running_domain_is_not_started_twice(self, running: SimulatedFleet) -> None:
        with pytest.raises(HostRefused, match="already running"):
            running.host("h1").start_domain(UUID)

    def test_disk_open_on_another_host_is_locked(self, running: SimulatedFleet) -> None:
        h2 = running.host("h2")
        h2.define_domain(config())

        with pytest.raises(HostRefused, match='Failed to get "write" lock'):
            h2.start_domain(UUID)
        assert violations(running.world) == ()

    def test_missing_disk_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        fleet.host("h1").define_domain(config())

        with pytest.raises(HostRefused, match="No such file"):
            fleet.host("h1").start_domain(UUID)

    def test_missing_base_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        base = h1.create_volume("vms", "base", format="qcow2", capacity=GIB)
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB, backing=base)
        h1.define_domain(config())
        fleet.people("h1").remove_file(f"{TARGET}/base")

        with pytest.raises(HostRefused, match=f"{TARGET}/base"):
            h1.start_domain(UUID)

    def test_inactive_network_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB)
        h1.define_domain(config())
        h1.stop_network("lan")

        with pytest.raises(HostRefused, match="not active"):
            h1.start_domain(UUID)

    def test_memory_that_is_not_there_keeps_a_domain_off(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB)
        h1.define_domain(replace(config(), memory=17 * GIB))

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
            fleet.host("h1").define_domain(config())


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

        clone = h1.clone_volume("vms", "v", format="qcow2", capacity=2 * GIB, source="base")

        assert (clone.capacity, clone.backing_path) == (2 * GIB, None)

    def test_full_pool_has_no_space(self, fleet: SimulatedFleet) -> None:
        fleet.fill_disk("h2", TARGET)

        with pytest.raises(NoSpace):
            fleet.host("h1").create_volume("vms", "v", format="qcow2", capacity=GIB)

    def test_volume_in_use_is_not_grown(self, running: SimulatedFleet) -> None:
        with pytest.raises(HostRefused, match="lock"):
            running.host("h1").grow_volume("vms", "web.qcow2", 2 * GIB)

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


class TestFaults:
    def test_power_cut_kills_guests_and_boot_brings_back_what_autostarts(self, running: SimulatedFleet) -> None:
        running.host("h1").set_autostart(UUID, autostart=True)

        running.power_off("h1")
        with pytest.raises(HostUnreachable):
            running.host("h1").sweep()
        assert violations(running.world) == ()

        running.power_on("h1")
        assert running.host("h1").domain_state(UUID) == "running"
        assert running.people("h1").entry("web").boots == 2

    def test_guest_that_does_not_autostart_stays_off_after_boot(self, running: SimulatedFleet) -> None:
        running.power_off("h1")
        running.power_on("h1")

        assert running.host("h1").domain_state(UUID) == "shutoff"
        assert running.host("h1").pool("vms").active

    def test_cut_network_leaves_guests_running(self, running: SimulatedFleet) -> None:
        running.cut_network("h1")

        with pytest.raises(HostUnreachable):
            running.host("h1").read()
        running.restore_network("h1")
        assert running.host("h1").domain_state(UUID) == "running"

    def test_hung_host_takes_the_whole_deadline_and_does_nothing(self, running: SimulatedFleet) -> None:
        begun = running.clock.monotonic()
        running.hang("h1")

        with pytest.raises(HostTimeout):
            running.host("h1").destroy_domain(UUID)

        assert running.clock.monotonic() - begun == 10.0
        running.recover("h1")
        assert running.host("h1").domain_state(UUID) == "running"

    def test_slow_host_answers_late(self, running: SimulatedFleet) -> None:
        begun = running.clock.monotonic()
        running.slow_down("h1", 7.0)

        running.host("h1").sweep()

        assert running.clock.monotonic() - begun == 7.0

    def test_lost_reply_is_of_a_call_that_was_applied(self, running: SimulatedFleet) -> None:
        running.lose_reply("h1", "destroy_domain")

        with pytest.raises(HostTimeout):
            running.host("h1").destroy_domain(UUID)

        assert running.host("h1").domain_state(UUID) == "shutoff"

    def test_injected_failure_is_of_a_call_that_was_not_applied(self, running: SimulatedFleet) -> None:
        running.fail_next("h1", "destroy_domain", HostRefused("no", host="h1"))

        with pytest.raises(HostRefused):
            running.host("h1").destroy_domain(UUID)

        assert running.host("h1").domain_state(UUID) == "running"

    def test_frozen_reads_tell_of_the_past(self, running: SimulatedFleet) -> None:
        running.freeze_reads("h1")
        running.people("h1").destroy("web")

        assert running.host("h1").read().domains["web"].state == "running"
        running.thaw_reads("h1")
        assert running.host("h1").read().domains["web"].state == "shutoff"

    def test_crash_before_a_call_leaves_it_undone_and_after_it_done(self, running: SimulatedFleet) -> None:
        def crash_at(wanted: str) -> Callable[[MutatingCall, str], None]:
            def crash(_call: MutatingCall, phase: str) -> None:
                if phase == wanted:
                    raise SimulatedCrashError

            return crash

        for phase, state in (("before", "running"), ("after", "shutoff")):
            running.on_mutation(crash_at(phase))
            with pytest.raises(SimulatedCrashError):
                running.host("h1").destroy_domain(UUID)
            assert running.host("h1").domain_state(UUID) == state

    def test_every_mutating_call_is_recorded_in_order(self, running: SimulatedFleet) -> None:
        assert [call.method for call in running.calls][-3:] == ["create_volume", "define_domain", "start_domain"]

    def test_lifecycle_raises_events_and_config_edits_raise_none(self, running: SimulatedFleet) -> None:
        heard: list[HostEvent] = []
        running.subscribe(heard.append)

        running.people("h1").edit("web", memory=2 * GIB)
        running.people("h1").destroy("web")

        assert [(event.kind, event.target, event.detail) for event in heard] == [("domain", "web", "stopped")]


class TestInvariants:
    def test_two_running_copies_are_found(self, running: SimulatedFleet) -> None:
        running.people("h1").remove_file(f"{TARGET}/web.qcow2")  # with it goes the lock that keeps the second one off
        running.people("h1").write_file(f"{TARGET}/web.qcow2")
        running.world.hosts["h2"].directories[TARGET] = running.world.hosts["h1"].directories[TARGET].__class__(GIB)
        running.people("h2").write_file(f"{TARGET}/web.qcow2")
        running.people("h2").define(config())
        running.people("h2").start("web")

        assert any("2 copies of domain" in text for text in violations(running.world))

    def test_base_without_a_mark_under_a_running_domain_is_found(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        base = h1.create_volume("vms", "base", format="qcow2", capacity=GIB)
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB, backing=base)
        h1.define_domain(config())
        h1.start_domain(UUID)

        assert any("never complete" in text for text in violations(fleet.world))


class TestClock:
    def test_wait_passes_at_once_and_takes_the_clock_along(self) -> None:
        clock = FakeClock(100.0)

        assert not clock.wait(threading.Event(), 30.0)
        assert (clock.now(), clock.monotonic()) == (130.0, 30.0)

    def test_wait_for_what_has_happened_takes_no_time(self) -> None:
        clock, event = FakeClock(100.0), threading.Event()
        event.set()

        assert clock.wait(event, 30.0)
        assert clock.monotonic() == 0.0

    def test_wall_clock_jumps_alone(self) -> None:
        clock = FakeClock(100.0)

        clock.jump(-86_400.0)

        assert (clock.now(), clock.monotonic()) == (-86_300.0, 0.0)

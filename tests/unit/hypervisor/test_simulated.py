"""The simulated fleet misbehaves as real hosts do, and sees what must never happen."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from reconciler.errors import HostRefused, HostTimeout, HostUnreachable
from reconciler.hypervisor.interface import Fleet, HostEvent, Hypervisor
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.hypervisor.simulated_invariants import violations
from reconciler.hypervisor.simulated_world import MutatingCall, SimulatedCrashError
from tests.support.domains import domain_config
from tests.unit.hypervisor.simulated_objects import GIB, TARGET, UUID


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
        running.people("h2").define(domain_config())
        running.people("h2").start("web")

        assert any("2 copies of domain" in text for text in violations(running.world))

    def test_base_without_a_mark_under_a_running_domain_is_found(self, fleet: SimulatedFleet) -> None:
        h1 = fleet.host("h1")
        base = h1.create_volume("vms", "base", format="qcow2", capacity=GIB)
        h1.create_volume("vms", "web.qcow2", format="qcow2", capacity=GIB, backing=base)
        h1.define_domain(domain_config())
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


def test_pulse_of_a_host_that_lives_is_fresh_and_that_of_a_dead_one_ages(fleet: SimulatedFleet) -> None:
    host = fleet.host("h1")
    begun = fleet.clock.monotonic()
    assert host.pulse().answered_at == begun

    fleet.power_off("h1")
    fleet.clock.wait(threading.Event(), 5)

    assert host.pulse().answered_at == begun
    assert host.pulse().error == "no route to host"


def test_slow_host_answers_that_it_lives(fleet: SimulatedFleet) -> None:
    fleet.slow_down("h1", 30)

    pulse = fleet.host("h1").pulse()

    assert pulse.answered_at == fleet.clock.monotonic()
    assert pulse.took == 30


@pytest.mark.parametrize(("fault", "error"), [("hang", HostTimeout), ("cut_network", HostUnreachable)])
def test_ping_of_a_host_that_does_not_answer_fails(
    fleet: SimulatedFleet, fault: str, error: type[HostTimeout | HostUnreachable]
) -> None:
    getattr(fleet, fault)("h1")

    with pytest.raises(error):
        fleet.host("h1").ping(2)

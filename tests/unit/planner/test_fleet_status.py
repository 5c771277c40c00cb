"""What `status` says of hosts that are lost, and of the VMs that were on them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.health import DEVICE_DOUBTFUL, HostHealth
from reconciler.model.status import FleetStatus, HostStatus, VmStatus
from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import Story, story, vm


def fleet() -> Story:
    """Three hosts with a shared pool and one HA VM, which runs on h1."""
    return story(vm(ha={"enabled": True}, placement={"hosts": ["h1", "h2"]}), hosts=3, shared=True).converged()


def status(told: Story) -> FleetStatus:
    return fleet_status(told.specs, told.inventory, told.ledger, told.policy, told.plan(), told.now)


def host(told: Story, name: str) -> HostStatus:
    return next(host for host in status(told).hosts if host.name == name)


def web(told: Story) -> VmStatus:
    return next(vm for vm in status(told).vms if vm.name == "web")


def home(told: Story) -> str:
    return told.ledger.placements["web"].host


def test_hosts_that_answer_are_online_though_no_controller_judges_them() -> None:
    assert {host.health for host in status(fleet()).hosts} == {"online"}


def test_a_lost_host_is_what_the_controller_takes_it_for_and_says_why() -> None:
    running = fleet()
    lost = running.lost(home(running))

    seen = host(lost, home(running))

    assert (seen.health, seen.message, seen.rule) == ("unreachable", f"{seen.name} is unreachable", "rule")
    assert seen.incident == f"i-{seen.name}"
    assert not seen.is_proven


def test_a_host_that_is_proven_dead_says_so() -> None:
    running = fleet()
    dead = running.lost(home(running), state="fenced").proven(home(running))

    assert host(dead, home(running)).health == "fenced"
    assert host(dead, home(running)).is_proven


def test_a_host_that_answers_who_asks_is_online_though_the_controller_has_not_seen_it_yet() -> None:
    assert host(fleet().in_state("h2", "unknown"), "h2").health == "online"


@pytest.mark.parametrize("is_read", [True, False], ids=["read in time", "not read in time"])
def test_a_host_that_answers_slowly_is_degraded_whether_or_not_it_could_be_read(is_read: bool) -> None:
    running = fleet() if is_read else fleet().losing_sight_of("h2")
    slow = running.with_ledger(health={"h2": HostHealth("h2", "online", "slow", "takes 3 s", running.now, None)})

    seen = host(slow, "h2")

    assert (seen.health, seen.message, seen.rule) == ("degraded", "takes 3 s", "slow")
    assert not status(slow).healthy


def test_a_host_that_is_back_is_not_yet_online() -> None:
    seen = host(fleet().in_state("h2", "returning"), "h2")

    assert (seen.health, seen.message) == ("returning", "h2 is returning")
    assert seen.vms is not None


def test_a_vm_on_a_lost_host_is_unknown_never_running_nor_missing() -> None:
    running = fleet()

    for told in (running.losing_sight_of(home(running)), running.lost(home(running))):
        assert (web(told).health, web(told).state) == ("unknown", "unknown")
        assert web(told).host == home(running)


def test_a_vm_that_is_being_recovered_is_unknown_until_it_is_elsewhere() -> None:
    running = fleet()
    dead = running.lost(home(running), state="fenced").proven(home(running))

    assert web(dead).health == "unknown"
    assert web(dead.converged()).health == "running"
    assert web(dead.converged()).host != home(running)


def test_an_old_copy_in_sight_says_nothing_of_a_vm_whose_true_copy_is_out_of_sight() -> None:
    running = fleet()
    old = home(running)
    other = next(name for name in ("h1", "h2") if name != old)
    moved = running.placed("web", other, epoch=9).losing_sight_of(other)

    assert web(moved).health == "unknown"
    assert web(moved).host == other


def test_a_fleet_without_fence_devices_wants_none() -> None:
    told = fleet()

    assert {host.armed for host in status(told).hosts} == {None}
    assert status(told).healthy


def test_a_host_whose_devices_passed_their_test_is_armed() -> None:
    told = fleet().armed("h1")

    assert (host(told, "h1").armed, host(told, "h1").message) == (True, "")
    assert status(told).healthy


def test_a_host_whose_devices_were_never_tested_is_not_armed_and_that_is_not_well() -> None:
    told = fleet().armed("h1").with_ledger(fence_tests={})

    assert host(told, "h1").armed is False
    assert "never tested" in host(told, "h1").message
    assert not status(told).healthy


def test_a_host_whose_device_stopped_answering_is_online_and_not_well() -> None:
    told = fleet().armed("h1").in_state("h1", "online", DEVICE_DOUBTFUL)

    assert (host(told, "h1").health, host(told, "h1").message) == ("online", "h1 is online")
    assert not status(told).healthy


def test_a_host_that_is_held_is_not_armed_while_it_is() -> None:
    told = fleet().armed("h1").with_ledger(paused=frozenset({"Host/h1"}))

    assert (host(told, "h1").is_held, host(told, "h1").armed) == (True, True)
    assert "held" in host(told, "h1").message
    assert not status(told).healthy


def test_a_host_without_devices_may_be_held_and_all_is_well() -> None:
    told = fleet().with_ledger(paused=frozenset({"Host/h1"}))

    assert host(told, "h1").is_held
    assert status(told).healthy


def test_a_vm_that_is_held_says_so_and_all_is_well() -> None:
    told = fleet().with_ledger(paused=frozenset({"VirtualMachine/web"}))

    assert (web(told).is_held, web(told).message) == (True, "held")
    assert status(told).healthy


def test_a_hold_of_what_nobody_knows_is_told() -> None:
    told = fleet().with_ledger(paused=frozenset({"VirtualMachine/web-9", "VirtualMachine/web", "Host/h1"}))

    assert status(told).problems == (
        "VirtualMachine/web-9 is held, and is in no spec and on no host (reconciler resume VirtualMachine/web-9)",
    )


def test_a_fleet_that_is_held_says_that_nobody_is_fenced() -> None:
    told = fleet().armed("h1").with_ledger(paused=frozenset({"fleet"}))

    assert "nobody is fenced" in status(told).problems[0]
    assert host(told, "h1").is_held
    assert (web(told).is_held, web(told).message) == (True, "")


@pytest.mark.parametrize(("reason", "how"), [("destroyed", "forced off by somebody"), ("shutdown", "shut down")])
def test_a_job_that_is_off_without_a_failure_says_why_it_stays_off(reason: str, how: str) -> None:
    fleet = story(vm(runStrategy="RerunOnFailure")).converged()
    told = fleet.with_domain(replace(fleet.domain(), state="shutoff", reason=reason, live=None))

    assert web(told).message == f"{how}; RerunOnFailure starts it again only after a failure"
    assert status(told).healthy


def test_a_fleet_with_a_lost_host_is_not_healthy() -> None:
    running = fleet()

    assert status(running).healthy
    assert not status(replace(running.lost("h3"), now=running.now)).healthy


def test_of_two_copies_the_one_that_is_on_record_counts_whatever_their_epochs() -> None:
    running = fleet()
    mark = replace(running.domain(on=home(running)).config.mark, epoch=3)  # type: ignore[type-var]
    config = replace(running.domain(on=home(running)).config, mark=mark)
    of_before = replace(running.domain(on=home(running)), state="shutoff", live=None, config=config)

    assert web(running.with_domain(of_before, on="h3").noticed()).state == "running"


def test_a_vm_that_is_to_stop_is_not_said_to_be_off() -> None:
    halted = fleet().with_specs(vm(runStrategy="Halted"), without=["VirtualMachine/web"])

    assert web(halted).message == "shut down: asked to, and forced off after 2m"


def test_half_of_a_guest_whose_post_copy_was_cut_does_not_count_as_running() -> None:
    told = fleet()
    broken = told.with_domain(replace(told.domain("web", home(told)), reason="postcopy-failed"), home(told))

    assert web(broken).health == "crashed"
    assert "its post-copy was cut" in web(broken).message


def test_a_vm_that_ran_twice_is_told_of_for_as_long_as_nobody_has_seen_to_it() -> None:
    told = fleet().with_ledger(ran_twice={"web": "it ran twice, so check its disks", "gone": "it too"})

    assert status(told).problems == ("it ran twice, so check its disks (then: reconciler resume VirtualMachine/web)",)
    assert not status(told).healthy

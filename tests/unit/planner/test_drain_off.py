"""What is off on a host in maintenance goes with the rest, as far as that takes no copying: nothing is left on it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.abilities import CpuAnswer, CpuQuestion, GuestCpu, HostAbilities
from reconciler.model.ledger import Migration
from reconciler.model.policy import Migration as MigrationPolicy
from reconciler.model.policy import Policy
from reconciler.model.steps import MigrateDomain
from reconciler.planner.plan_check import check
from tests.support.fleets import FLEET, NOW, Story, host, story, vm
from tests.unit.planner.test_drain import fleet, moves, running_on, settled
from tests.unit.planner.test_drain_status import drain, of_h1


def off(there: Story, reason: str = "destroyed", name: str = "web") -> Story:
    return there.with_domain(replace(there.domain(name), state="shutoff", reason=reason, live=None))


def defined_on(of: Story) -> dict[str, list[str]]:
    return {name: sorted(known.domains) for name, known in of.inventory.hosts.items()}


def local() -> Story:
    """A VM with a disk of its host alone, which is off in maintenance."""
    there = story(vm(), host("h2", state="cordoned"), hosts=2).converged()
    return off(there.with_specs(host("h1", state="maintenance"), host("h2"), without=["Host/h1", "Host/h2"]))


def test_a_vm_that_is_off_is_moved_by_its_definition_and_nobody_is_disturbed() -> None:
    action = off(fleet(vm())).action("migrate-domain")

    assert (action.host, action.why, action.disruption, action.sign) == ("h2", "drain", "none", "move")
    assert isinstance(action.step, MigrateDomain)
    assert action.detail.endswith("which is in maintenance; somebody had forced it off")
    assert (action.step.cold, action.step.starts, action.step.epoch, action.step.disks) == (True, True, 2, ())


def test_what_is_to_be_on_is_started_where_it_has_come_to() -> None:
    done = settled(off(fleet(vm())))

    assert defined_on(done) == {"h1": [], "h2": ["web"], "h3": []}
    assert running_on(done)["h2"] == ["web"]
    assert of_h1(done).message == "safe to power off"


@pytest.mark.parametrize("strategy", ["Halted", "Manual"])
def test_what_is_to_be_off_is_moved_and_stays_off(strategy: str) -> None:
    there = off(fleet(vm(runStrategy=strategy)))
    step = there.action("migrate-domain").step
    done = settled(there)

    assert isinstance(step, MigrateDomain)
    assert not step.starts
    assert defined_on(done)["h2"] == ["web"]
    assert running_on(done)["h2"] == []


def test_what_failed_before_it_was_moved_is_run_again_where_it_has_come_to() -> None:
    strategy = {"runStrategy": "RerunOnFailure"}

    assert running_on(settled(off(fleet(vm(**strategy)), "crashed")))["h2"] == ["web"]
    assert running_on(settled(off(fleet(vm(**strategy)), "shutdown")))["h2"] == []


def test_what_is_missed_goes_first_and_what_is_not_goes_last() -> None:
    policy = Policy(fleet=FLEET, migration=MigrationPolicy(parallel_per_source=1))
    there = replace(fleet(vm("a", runStrategy="Halted"), vm("b"), vm("c")), policy=policy)
    there = off(there, name="c")

    assert list(moves(there)) == ["c"]
    assert list(moves(there.applied())) == ["b"]


def test_a_disk_of_its_host_alone_keeps_it_there_and_is_named() -> None:
    there = local()
    stuck = there.unmet()["not-wanted-here"]

    assert there.plan().empty
    assert stuck.severity == "waiting"
    assert "and off; its disk root is on h1 alone" in stuck.detail
    assert "it is started once h1 is active" in stuck.detail
    assert of_h1(there).message == "safe to power off; 1 VM that is off on it"


def test_where_being_off_is_all_that_keeps_it_the_hint_gets_it_away() -> None:
    there = local()
    hint = there.unmet()["not-wanted-here"].hint
    started = settled(there.with_specs(host("h1", state="cordoned"), without=["Host/h1"]))
    moved = settled(started.with_specs(host("h1", state="maintenance"), without=["Host/h1"]))

    assert "Host h1 cordoned starts it there, and in maintenance again it is moved" in hint
    assert running_on(started)["h1"] == ["web"]
    assert running_on(moved) == {"h1": [], "h2": ["web"]}


def test_uefi_variables_and_a_saved_guest_stay_with_their_host() -> None:
    there = off(fleet(vm(firmware="uefi")))

    assert there.plan().empty
    assert "its UEFI variables are on h1 alone" in there.unmet()["not-wanted-here"].detail
    assert "saved to a file on h1" in off(fleet(vm()), "saved").unmet()["not-wanted-here"].detail


def test_a_device_of_its_host_keeps_what_is_off_there_too() -> None:
    there = off(fleet(vm()))
    there = there.with_domain(replace(there.domain(), restricted=("hostdev",)))

    assert there.plan().empty
    assert "hostdev can't be moved" in there.unmet()["not-wanted-here"].detail


def test_it_goes_only_where_a_new_vm_would() -> None:
    there = off(fleet(vm(memory="8GiB"), hosts=2))
    full = there.with_specs(host("h2", reserved={"memory": "12GiB"}), without=["Host/h2"])

    assert full.plan().empty
    assert full.unmet()["not-wanted-here"].per_host == (("h2", "lacks 4GiB of memory"),)


def test_it_does_not_go_where_the_cpu_that_its_spec_names_can_not_be_had() -> None:
    question = CpuQuestion(GuestCpu("custom", "EPYC", check="partial"), "kvm")
    there = off(fleet(vm(cpu={"model": "EPYC"})))
    there = there.with_host("h2", abilities=HostAbilities(answers=(CpuAnswer(question, "no CPU feature avx2"),)))
    there = there.with_host("h3", abilities=HostAbilities(answers=(CpuAnswer(question, ""),)))

    assert moves(there) == {"web": "h3"}


def test_what_is_left_to_people_stays() -> None:
    assert off(fleet(vm(placement={"onDrain": "block"}, runStrategy="Halted"))).plan().empty


def test_a_vm_that_was_shut_down_for_the_drain_is_moved_once_a_host_takes_it() -> None:
    full = fleet(vm(memory="8GiB", placement={"onDrain": "shutdown"}), hosts=2).with_specs(
        host("h2", reserved={"memory": "12GiB"}), without=["Host/h2"]
    )
    free = full.applied().with_specs(host("h2"), without=["Host/h2"])

    assert running_on(settled(free))["h2"] == ["web"]


def test_a_host_is_not_safe_to_power_off_before_they_have_left() -> None:
    there = off(fleet(vm(runStrategy="Halted")))

    assert not drain(there).is_safe
    assert of_h1(there).message == "being emptied: 1 VM left"


def test_what_may_be_at_either_host_is_followed_and_nothing_else_is_done_to_it() -> None:
    there = off(fleet(vm()))
    step = there.action("migrate-domain").step
    assert isinstance(step, MigrateDomain)
    half = there.with_ledger(migrations={"web": Migration("web", NOW, step, "drain")})

    assert [action.step for action in half.plan().actions] == [replace(step, begun=True)]


def test_a_plan_that_would_leave_part_of_it_behind_is_rejected() -> None:
    there = off(fleet(vm()))
    plan = there.plan()
    uefi = there.with_domain(replace(there.domain(), config=replace(there.domain().config, firmware="uefi")))
    runs = there.with_domain(replace(there.domain(), state="running", live=there.domain().config))

    found = [check(plan, of.specs, of.inventory, of.ledger, of.policy) for of in (there, uefi, runs)]

    assert found[0] == ()
    assert "part of it would stay on h1" in found[1][0]
    assert "it is not off on h1" in found[2][0]


@pytest.mark.parametrize("device", ["tpm", "memory nvdimm"])
def test_what_keeps_its_state_in_files_of_its_host_stays_while_it_is_off(device: str) -> None:
    there = off(fleet(vm()))
    there = there.with_domain(replace(there.domain(), restricted=(device,)))

    assert moves(there) == {}
    assert f"the state of its {device} is on h1 alone" in there.unmet()["not-wanted-here"].detail

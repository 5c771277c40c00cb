"""Which host is fenced: one at a time, armed, under no brake, and only where a VM would run elsewhere for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.fencing_devices import devices_hash
from reconciler.model.ledger import Failure
from reconciler.model.outcome import action_inputs
from reconciler.model.plan import UnmetReason
from reconciler.model.policy import HighAvailability
from reconciler.model.steps import FenceHost
from reconciler.planner.fleet_status import fleet_status
from reconciler.planner.host_health import OTHER_MACHINE_SILENT, POWER_OFF
from tests.support.fleets import NOW, POLICY, Story, host, story, vm

WEB = "VirtualMachine/web"
FENCE = "fence-host:Host/h1"


def pinned(name: str, on: str, **spec: Any) -> Any:
    return vm(name, placement={"hosts": [on]}, **spec)


def armed(*names: str, hosts: int = 3, **spec: Any) -> Story:
    """`web` runs on h1, on shared storage; the hosts of `names` (all of them) have a device that passed its test."""
    fleet = story(pinned("web", "h1", **spec), hosts=hosts, shared=True).converged()
    fleet = fleet.with_specs(vm(**spec), without=[WEB])
    return fleet.armed(*(names or fleet.specs.hosts))


def reasons(fleet: Story, target: str = "Host/h1") -> dict[UnmetReason, str]:
    return {reason: unmet.detail for reason, unmet in fleet.unmet(target).items()}


def fenced(fleet: Story) -> list[str]:
    return [action.step.host for action in fleet.plan().actions if isinstance(action.step, FenceHost)]


# -- when --------------------------------------------------------------------------------------------------------------


def test_an_unreachable_host_with_an_ha_vm_is_fenced_by_the_controller_itself() -> None:
    fleet = armed().lost("h1")

    fence = fleet.action("fence-host")

    assert fence.id == FENCE
    assert (fence.host, str(fence.target), fence.why) == (None, "Host/h1", "host-lost")
    assert fence.step == FenceHost("h1", "i-h1", devices_hash(fleet.specs.hosts["h1"]))
    assert fence.disruption == "reboot"


def test_a_host_whose_device_says_off_is_only_confirmed_to_be_off() -> None:
    fence = armed().lost("h1").in_state("h1", "unreachable", POWER_OFF).action("fence-host")

    assert (fence.step.is_off, fence.disruption) == (True, "none")
    assert "have it confirmed" in fence.detail


def test_while_its_host_is_fenced_the_vm_waits_for_the_proof() -> None:
    unmet = armed().lost("h1").unmet()

    assert "surely off" in unmet["host-lost"].detail


def test_once_fenced_the_vm_runs_elsewhere_and_nothing_is_left_to_do() -> None:
    fleet = armed().lost("h1").converged()

    assert fleet.domain(on="h2").active or fleet.domain(on="h3").active


def test_a_suspect_host_is_not_fenced() -> None:
    assert fenced(armed().lost("h1", state="suspect")) == []


def test_a_host_that_was_just_read_is_not_fenced_whatever_was_written_down() -> None:
    before = armed()
    fleet = before.lost("h1")

    assert fenced(replace(fleet, inventory=before.inventory)) == []


def test_a_name_under_which_another_machine_answers_is_not_fenced() -> None:
    before = armed()
    fleet = before.lost("h1").with_ledger(identities={"h1": "another-uuid"}).returned(before, "h1")
    fleet = fleet.with_host("h1", domains={}).in_state("h1", "unreachable")

    assert fenced(fleet) == []


def test_with_nobody_watching_hosts_none_is_fenced() -> None:
    assert fenced(armed().lost("h1").with_ledger(health={})) == []


@pytest.mark.parametrize(
    "spec",
    [{"ha": {"enabled": False}}, {"runStrategy": "Halted"}, {"runStrategy": "Manual"}],
    ids=["no HA", "halted", "manual"],
)
def test_a_host_is_not_cut_off_for_a_vm_that_would_not_be_started_elsewhere(spec: dict[str, Any]) -> None:
    assert fenced(armed(**spec).lost("h1")) == []


def test_a_host_is_not_cut_off_for_a_vm_whose_disks_are_its_own() -> None:
    fleet = story(pinned("web", "h1"), hosts=3).converged().armed("h1").lost("h1")

    assert fenced(fleet) == []


def test_a_host_that_is_proven_dead_is_not_fenced() -> None:
    assert fenced(armed().lost("h1").proven("h1")) == []


# -- why not now -------------------------------------------------------------------------------------------------------


def test_a_host_without_a_device_is_not_armed_and_only_a_human_can_tell() -> None:
    fleet = armed("h2").lost("h1")

    assert fleet.plan().empty
    assert fleet.unmet("Host/h1")["not-armed"].hint == "reconciler fence confirm h1 --reason TEXT"
    assert fleet.unmet()["not-armed"].hint == "reconciler fence confirm h1 --reason TEXT"


def test_a_device_that_was_never_tested_is_not_used() -> None:
    fleet = armed().lost("h1").with_ledger(fence_tests={})

    assert fleet.plan().empty
    assert "never tested" in reasons(fleet)["not-armed"]
    assert fleet.unmet()["not-armed"].hint == "reconciler fence test h1"


def test_a_device_that_failed_its_test_is_not_used() -> None:
    fleet = armed().lost("h1")
    failed = replace(fleet.ledger.fence_tests["h1"], passed=False, message="it is the device of h2")

    assert "it is the device of h2" in reasons(fleet.with_ledger(fence_tests={"h1": failed}))["not-armed"]


def test_devices_that_changed_since_their_test_are_not_used() -> None:
    fleet = armed().lost("h1")
    other = replace(fleet.ledger.fence_tests["h1"], devices="others")

    assert "others than were tested" in reasons(fleet.with_ledger(fence_tests={"h1": other}))["not-armed"]


def test_an_untested_device_is_told_of_while_all_is_well() -> None:
    unmet = armed().with_ledger(fence_tests={}).unmet("Host/h2")["not-armed"]

    assert unmet.severity == "info"


def test_the_devices_of_a_host_are_not_used_once_another_machine_answered_under_its_name() -> None:
    """What they switch, and what they call off, may be that one."""
    fleet = armed().lost("h1").in_state("h1", "unreachable", OTHER_MACHINE_SILENT)

    assert fleet.plan().empty
    assert "another machine" in reasons(fleet)["not-armed"]
    assert fleet.unmet()["not-armed"].hint == "reconciler fence confirm h1 --reason TEXT"


def test_in_the_quiet_period_nobody_is_fenced() -> None:
    fleet = armed().lost("h1").with_ledger(quiet=True)

    assert fleet.plan().empty
    assert "quiet period" in reasons(fleet)["fencing-held"]
    assert "quiet period" in reasons(fleet, WEB)["fencing-held"]


def test_of_three_hosts_two_bad_ones_are_too_many() -> None:
    fleet = armed().lost("h1").in_state("h2", "suspect")

    assert fleet.plan().empty
    assert "2 of 3 hosts are bad at once" in reasons(fleet)["fencing-held"]


def test_just_after_a_brake_came_off_nobody_is_fenced_yet() -> None:
    """Hosts come back from a partition one after the other."""
    fleet = armed().lost("h1").with_ledger(unsettled=True)

    assert fleet.plan().empty
    assert "until a moment ago" in reasons(fleet)["fencing-held"]


def test_a_host_in_maintenance_does_not_count_as_bad() -> None:
    fleet = armed().with_specs(host("h2", state="maintenance"), without=["Host/h2"]).lost("h1", "h2")

    assert fenced(fleet) == ["h1"]


def test_of_many_hosts_the_share_decides() -> None:
    fleet = armed(hosts=6)

    assert fenced(fleet.lost("h1", "h2")) == ["h1"]
    assert fenced(fleet.lost("h1", "h2", "h3")) == []


def test_the_share_is_a_policy() -> None:
    fleet = replace(armed(hosts=6), policy=POLICY.model_copy(update={"ha": HighAvailability(max_bad_share=0.9)}))

    assert fenced(fleet.lost("h1", "h2", "h3")) == ["h1"]


def test_a_controller_that_reaches_no_host_fences_none() -> None:
    fleet = armed(hosts=1).lost("h1")

    assert fleet.plan().empty
    assert "reaches no host" in reasons(fleet)["fencing-held"]


@pytest.mark.parametrize("what", ["Host/h1", "fleet"])
def test_what_is_held_is_not_fenced(what: str) -> None:
    fleet = armed().lost("h1").with_ledger(paused=frozenset({what}))

    assert fleet.plan().empty
    assert "paused" in reasons(fleet)


def test_after_a_failure_it_is_tried_again_later_and_meanwhile_a_human_may_tell() -> None:
    fleet = armed().lost("h1")
    inputs = action_inputs(fleet.action("fence-host"))
    failure = Failure(FENCE, 2, "fence_ipmilan: no answer", permanent=False, not_before=NOW + 10, inputs=inputs)
    failed = fleet.with_ledger(failures={FENCE: failure})

    assert failed.plan().empty
    assert failed.plan().held == (FENCE,)
    assert "no answer" in reasons(failed)["fencing-failed"]
    assert failed.unmet()["fencing-failed"].hint == "reconciler fence confirm h1 --reason TEXT"
    assert fenced(replace(failed, now=NOW + 10)) == ["h1"]


def test_what_failed_before_the_device_said_off_is_not_held_against_that() -> None:
    fleet = armed().lost("h1")
    inputs = action_inputs(fleet.action("fence-host"))
    failure = Failure(FENCE, 9, "no answer", permanent=False, not_before=NOW + 60, inputs=inputs)

    assert fenced(fleet.with_ledger(failures={FENCE: failure}).in_state("h1", "unreachable", POWER_OFF)) == ["h1"]


def test_a_host_in_maintenance_is_not_cut_off_by_the_controller() -> None:
    """Whoever works on it has it stop answering; a device that says off is believed all the same."""
    fleet = armed().with_specs(host("h1", state="maintenance"), without=["Host/h1"]).armed("h1").lost("h1")

    assert fenced(fleet) == []
    assert "in maintenance" in reasons(fleet)["fencing-held"]
    assert fenced(fleet.in_state("h1", "unreachable", POWER_OFF)) == ["h1"]


def test_a_clock_that_was_set_back_by_a_day_does_not_put_off_the_next_try() -> None:
    fleet = armed().lost("h1")
    inputs = action_inputs(fleet.action("fence-host"))
    failure = Failure(FENCE, 1, "no answer", permanent=False, not_before=NOW + 86_405, inputs=inputs)

    assert fenced(fleet.with_ledger(failures={FENCE: failure})) == ["h1"]


@pytest.mark.parametrize(
    "story_of",
    [
        lambda: armed().lost("h1"),
        lambda: armed("h2").lost("h1"),
        lambda: armed().lost("h1").with_ledger(quiet=True),
        lambda: armed().lost("h1").with_ledger(in_flight=frozenset({"Host/h1"})),
        lambda: armed().lost("h1").with_ledger(paused=frozenset({"Host/h1"})),
        lambda: armed(ha={"enabled": False}).lost("h1"),
    ],
    ids=["being fenced", "not armed", "quiet", "in flight", "held", "no HA"],
)
def test_the_status_of_a_vm_on_a_lost_host_is_unknown(story_of: Callable[[], Story]) -> None:
    fleet = story_of()

    status = fleet_status(fleet.specs, fleet.inventory, fleet.ledger, fleet.policy, fleet.plan(), fleet.now)

    assert [(found.health, found.sync) for found in status.vms] == [("unknown", "unknown")]


# -- one at a time -----------------------------------------------------------------------------------------------------


def two_lost() -> Story:
    machines = [pinned("low", "h1", ha={"priority": 1}), pinned("high", "h2", ha={"priority": 9})]
    fleet = story(*machines, hosts=6, shared=True).converged()
    anywhere = [vm("low", ha={"priority": 1}), vm("high", ha={"priority": 9})]
    fleet = fleet.with_specs(*anywhere, without=["VirtualMachine/low", "VirtualMachine/high"])
    return fleet.armed("h1", "h2").lost("h1", "h2")


def test_of_two_lost_hosts_the_one_with_the_more_important_vm_is_fenced_first() -> None:
    fleet = two_lost()

    assert fenced(fleet) == ["h2"]
    assert "after Host/h2" in reasons(fleet)["fencing-held"]


def test_while_one_is_being_fenced_no_other_is() -> None:
    fleet = two_lost().with_ledger(in_flight=frozenset({"Host/h1"}))

    assert fenced(fleet) == []
    assert "in-progress" in reasons(fleet)
    assert "after Host/h1" in reasons(fleet, "Host/h2")["fencing-held"]


def test_a_host_that_can_not_be_fenced_does_not_hold_up_the_next() -> None:
    fleet = two_lost()
    untested = {name: test for name, test in fleet.ledger.fence_tests.items() if name != "h2"}

    assert fenced(fleet.with_ledger(fence_tests=untested)) == ["h1"]

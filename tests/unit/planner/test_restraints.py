"""While older specs lead in doubt, the more careful of them and of the newest holds."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired_state import DesiredState, SourceRef, SpecProblem
from reconciler.model.resource import PAUSED_ANNOTATION
from reconciler.planner.restraints import Restraints, decoded, others_now, restrained, restraints_of
from tests.support.fleets import desired, host, observed_network, ref, story, vm

OLD = {"agent": "fence_virsh", "parameters": {"ip": "bmc", "plug": "7"}}
NEW = {"agent": "fence_virsh", "parameters": {"ip": "bmc", "plug": "8"}}
PAUSED = {PAUSED_ANNOTATION: "true"}


def in_doubt(older: DesiredState, newest: DesiredState) -> tuple[DesiredState, dict[str, str]]:
    known = decoded(restraints_of(newest).encoded())
    careful, told = restrained(older, known)
    return careful, {str(target): why for target, why in told.items()}


def test_where_the_newest_restrain_nothing_all_is_as_it_was() -> None:
    older = desired(host("h1", fencing=[OLD]), vm())

    assert in_doubt(older, replace(older, generation="g2")) == (older, {})


def test_devices_that_the_newest_do_not_have_are_not_there() -> None:
    careful, told = in_doubt(desired(host("h1", fencing=[OLD])), desired(host("h1", fencing=[NEW])))

    assert careful.hosts["h1"].spec.fencing == ()
    assert "fence devices are not used" in told["Host/h1"]


def test_where_the_newest_are_not_known_no_device_is_used() -> None:
    older = desired(host("h1", fencing=[OLD]), vm())

    careful, told = restrained(older, decoded(""))

    assert careful.hosts["h1"].spec.fencing == ()
    assert careful.vms == older.vms
    assert set(told) == {ref("Host/h1")}


@pytest.mark.parametrize(
    ("older", "newest", "state"),
    [
        ("active", "maintenance", "maintenance"),
        ("active", "cordoned", "cordoned"),
        ("cordoned", "active", "cordoned"),
        ("maintenance", "cordoned", "maintenance"),
    ],
)
def test_of_two_states_of_a_host_the_more_careful_one_holds(older: str, newest: str, state: str) -> None:
    careful, _ = in_doubt(desired(host("h1", state=older)), desired(host("h1", state=newest)))

    assert careful.hosts["h1"].spec.state == state


def test_a_host_that_the_newest_do_not_have_takes_nothing_and_is_not_fenced() -> None:
    careful, told = in_doubt(desired(host("h1", fencing=[OLD])), desired(host("h2")))

    assert (careful.hosts["h1"].spec.state, careful.hosts["h1"].spec.fencing) == ("cordoned", ())
    assert "Host/h1" in told


VMS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, bool, str]]] = {
    "halted": ({}, {"runStrategy": "Halted"}, ("Halted", True, "wait")),
    "manual": ({}, {"runStrategy": "Manual"}, ("Manual", True, "wait")),
    "halted by the older": ({"runStrategy": "Halted"}, {}, ("Halted", True, "wait")),
    "not recovered": ({}, {"ha": {"enabled": False}}, ("Always", False, "wait")),
    "waits for its disks": ({"ha": {"onHostLoss": "rebuild"}}, {}, ("Always", True, "wait")),
    "rebuilt by the newest": ({}, {"ha": {"onHostLoss": "rebuild"}}, ("Always", True, "wait")),
}


@pytest.mark.parametrize("case", VMS)
def test_of_two_ways_to_run_a_vm_the_more_careful_one_holds(case: str) -> None:
    older, newest, expected = VMS[case]

    careful, _ = in_doubt(desired(vm(**older)), desired(vm(**newest)))

    spec = careful.vms["web"].spec
    assert (spec.run_strategy, spec.ha.enabled, spec.ha.on_host_loss) == expected


def test_a_vm_that_the_newest_do_not_have_is_not_run() -> None:
    careful, told = in_doubt(desired(vm()), desired())

    assert (careful.vms["web"].spec.run_strategy, careful.vms["web"].spec.ha.enabled) == ("Halted", False)
    assert told == {"VirtualMachine/web": "it is gone"}


def test_what_the_newest_hold_is_held() -> None:
    careful, told = in_doubt(desired(host("h1"), vm()), desired(host("h1", annotations=PAUSED), vm(annotations=PAUSED)))

    assert careful.hosts["h1"].metadata.paused
    assert careful.vms["web"].metadata.paused
    assert set(told) == {"Host/h1", "VirtualMachine/web"}


def test_what_has_a_mistake_is_restrained_as_it_was_before() -> None:
    mistake = SpecProblem(SourceRef("web.yaml", 1), "S001", "VirtualMachine/web", "", "no")
    before = restraints_of(desired(vm(runStrategy="Halted")))
    broken = desired(unusable={ref("VirtualMachine/web"): mistake})

    assert restraints_of(broken, before) == before
    assert restraints_of(desired(removal_hold="unreadable"), before) == before
    assert restraints_of(desired(), before) == Restraints()


def test_devices_are_others_if_they_changed_or_nothing_is_known_of_before() -> None:
    old, new = (restraints_of(desired(host("h1", fencing=[each]))) for each in (OLD, NEW))

    assert others_now(old, new, "h1")
    assert others_now(None, new, "h1")
    assert others_now(old, Restraints(), "h1")
    assert not others_now(old, old, "h1")


def test_a_vm_that_is_restrained_is_not_started_and_says_so() -> None:
    fleet = story(vm()).converged()
    fleet = fleet.with_domain(replace(fleet.domain(), state="shutoff", reason="shutdown", live=None))
    assert fleet.with_network(observed_network(active=False)).kinds() == ["start-network", "start-domain"]
    newest = restraints_of(desired(*fleet.specs.hosts.values(), vm(runStrategy="Halted")))

    careful, told = restrained(fleet.specs, newest)
    held = fleet.with_specs(vm(runStrategy="Halted"), doubt="older", removal_hold="older", restrained=told)

    assert careful.vms["web"].spec.run_strategy == "Halted"
    assert held.plan().empty
    assert "its runStrategy is Halted" in held.unmet()["specs-doubted"].detail

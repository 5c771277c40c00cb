"""What `why` tells of a host that was lost, and of the VMs that were on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.cli.render_why import Story, render_why
from reconciler.cli.terminal import Terminal
from reconciler.ledger.lost_host_timeline import lost_host, timeline_of_host, timeline_of_vm
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.model.health import FenceAttempt, FenceProof, FenceTest, HostHealth, Incident
from reconciler.model.ledger import LedgerView
from reconciler.planner.host_health import POWER_OFF
from tests.conftest import Golden
from tests.unit.cli.calling import invoke
from tests.unit.cli.plans import NOW, plan, ref
from tests.unit.cli.worlds import FakeSession, look, remember

_LOST = NOW - 100
_HEALTH = HostHealth("h1", "fenced", "proven", "can't be running its VMs: level 1 says off", _LOST + 7, _LOST)
_INCIDENT = Incident("1f2e3d4c", "h1", _LOST + 6, _LOST, _LOST + 2, _LOST + 6)
_PROOF = FenceProof("h1", "1f2e3d4c", "fenced", _LOST + 7, "level 1 says that the power is off", "fence_ipmilan")
_ATTEMPTS = (
    FenceAttempt(2, "h1", "1f2e3d4c", 2, "fence_apc_snmp", _LOST + 6.5, _LOST + 7, "confirmed", "off"),
    FenceAttempt(1, "h1", "1f2e3d4c", 1, "fence_ipmilan", _LOST + 6, _LOST + 6.5, "failed", "no route to host"),
)
_LEDGER = LedgerView(
    health={"h1": _HEALTH},
    incidents={"h1": _INCIDENT},
    proofs={"h1": _PROOF},
    fence_tests={"h1": FenceTest("h1", NOW - 5000, passed=True, devices="abc", message="level 1: on")},
)


def event(after: float, name: str, target: str = "VirtualMachine/web-1", host: str = "h1") -> LedgerEvent:
    """Something that happened `after` seconds from the last sign of life."""
    return LedgerEvent(_LOST + after, "p1", target, host, name, "as it was told")


_OF_VM = tuple(
    reversed(
        (
            event(-500, "start-domain done"),
            event(0, "host-last-seen"),
            event(2, "host-suspect"),
            event(6, "host-unreachable"),
            event(7.5, "define-domain done", host="h2"),
            event(8.5, "start-domain done", host="h2"),
            event(50, "start-domain done", host="h2"),
        )
    )
)
_OF_HOST = tuple(
    reversed(
        (
            event(-900, "fence-proof", "Host/h1"),
            event(0, "host-last-seen", "Host/h1"),
            event(2, "host-suspect", "Host/h1"),
            event(6, "host-unreachable", "Host/h1"),
            event(6.1, "fence-began", "Host/h1"),
            event(6.4, "fence-began", "Host/h1"),
            event(7, "fence-proof", "Host/h1"),
        )
    )
)
_TOLD = (
    ("host-last-seen", 0),
    ("host-suspect", 2),
    ("host-unreachable", 6),
    ("fence-began", 6.1),
    ("fence-proof", 7),
    ("vm-defined", 7.5),
    ("vm-running", 8.5),
)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local times are the same everywhere."""
    monkeypatch.setattr("reconciler.cli.words.time.localtime", __import__("time").gmtime)


def test_timeline_of_a_vm_goes_from_the_last_sign_of_life_to_running_elsewhere() -> None:
    told = timeline_of_vm(_OF_VM, _OF_HOST)

    assert tuple((event.event, round(event.at - _LOST, 1)) for event in told) == _TOLD
    assert lost_host(_OF_VM) == "h1"


def test_timeline_of_a_vm_that_is_not_yet_recovered_ends_where_it_is() -> None:
    told = timeline_of_vm(_OF_VM[3:], _OF_HOST[2:])

    assert [event.event for event in told] == [name for name, _ in _TOLD[:4]]


def test_timeline_is_of_the_last_loss_only() -> None:
    earlier = tuple(replace(event, at=event.at - 5000) for event in _OF_VM)

    assert timeline_of_vm((*_OF_VM, *earlier), _OF_HOST) == timeline_of_vm(_OF_VM, _OF_HOST)


def test_a_vm_whose_host_was_never_lost_has_no_timeline() -> None:
    assert timeline_of_vm((event(0, "start-domain done"),), _OF_HOST) == ()
    assert lost_host((event(0, "start-domain done"),)) == ""


def test_timeline_of_a_host_ends_when_it_is_back() -> None:
    back = (event(90, "host-online", "Host/h1"), event(80, "host-returned", "Host/h1"))

    told = timeline_of_host((*back, *_OF_HOST))

    assert [event.event for event in told][-3:] == ["fence-proof", "host-returned", "host-online"]


def test_why_of_a_lost_host_tells_the_verdict_the_attempts_and_the_proof(golden: Golden) -> None:
    view = replace(look(plan(unseen=("h1",)), sources={"Host/h1": "hosts.yaml:1:1"}), ledger=_LEDGER)
    story = Story(ref("Host/h1"), view, (), timeline=timeline_of_host(_OF_HOST), attempts=_ATTEMPTS)

    golden("why-lost-host.txt", render_why(story, Terminal()))


def test_why_of_a_host_whose_device_says_off_does_not_say_that_its_vms_may_run() -> None:
    says_off = replace(_HEALTH, state="unreachable", rule=POWER_OFF, sentence="its fence device says off")
    ledger = replace(_LEDGER, health={"h1": says_off}, proofs={})
    view = replace(look(plan(unseen=("h1",)), sources={"Host/h1": "hosts.yaml:1:1"}), ledger=ledger)

    text = render_why(Story(ref("Host/h1"), view, ()), Terminal())

    assert "none yet: its device says off, and is asked once more before that counts" in text
    assert "may still run" not in text


def test_why_of_a_recovered_vm_tells_its_timeline(golden: Golden) -> None:
    view = look(sources={"VirtualMachine/web-1": "vms.yaml:1:1"})
    story = Story(ref("VirtualMachine/web-1"), view, (), timeline=timeline_of_vm(_OF_VM, _OF_HOST))

    golden("why-recovered-vm.txt", render_why(story, Terminal()))


@pytest.mark.usefixtures("_own_environment")
def test_why_tells_programs_the_timeline_of_a_recovered_vm(specs: Path, tmp_path: Path) -> None:
    remember(tmp_path / "state", *reversed(_OF_VM), *reversed(_OF_HOST))

    result = invoke("why", "vm/web-1", specs, "--json", onto=FakeSession([look()]))

    told = json.loads(result.stdout)
    assert [(event["event"], round(event["at"] - _LOST, 1)) for event in told["timeline"]] == list(_TOLD)
    assert told["object"] == "VirtualMachine/web-1"
    assert told["status"]["health"] == "running"


@pytest.mark.usefixtures("_own_environment")
def test_why_tells_programs_all_that_is_known_of_a_lost_host(specs: Path, tmp_path: Path) -> None:
    with Ledger(tmp_path / "state") as ledger:
        attempt = ledger.begin_attempt("h1", _INCIDENT.id, 1, "fence_ipmilan", _LOST + 6)
        ledger.end_attempt(attempt, "confirmed", "off", _LOST + 7)
    view = replace(look(sources={"Host/h1": "hosts.yaml:1:1"}), ledger=_LEDGER)

    result = invoke("why", "host/h1", specs, "--json", onto=FakeSession([view]))

    told = json.loads(result.stdout)
    assert told["health"]["state"] == "fenced"
    assert told["incident"]["unreachableAt"] == _INCIDENT.unreachable_at
    assert told["proof"]["kind"] == "fenced"
    assert told["fenceTest"]["passed"] is True
    assert [attempt["end"] for attempt in told["attempts"]] == ["confirmed"]

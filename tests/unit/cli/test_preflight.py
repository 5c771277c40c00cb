"""What `check` finds, and the remedy that it names."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.cli.check import check_line
from reconciler.cli.command_line import CommandLine
from reconciler.cli.preflight import Check, controller_checks, host_checks, latency_check, specs_check, version_words
from reconciler.cli.terminal import Terminal
from reconciler.config import Settings
from reconciler.daemon.view import View
from reconciler.errors import HostTimeout
from reconciler.ledger.controller_lock import ControllerLock
from reconciler.model.desired_state import DesiredState, SourceRef, SpecProblem
from reconciler.model.inventory import HostFacts, HostInventory, Inventory, ObservedPool
from reconciler.model.policy import Migration, Policy
from reconciler.specfiles.loader import load
from tests.unit.cli.plans import GIB, NOW, UNREAD
from tests.unit.cli.worlds import look

_SPECS = """\
apiVersion: reconciler/v1
kind: Host
metadata: {name: h1}
spec: {uri: "qemu+tcp://h1.example/system"}
---
apiVersion: reconciler/v1
kind: StoragePool
metadata: {name: vms}
spec: {type: existing}
---
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {name: a}
spec: {memory: 1GiB, disks: [{name: root, size: 1GiB, pool: vms}]}
"""


@dataclass(slots=True)
class _Clock:
    """Each question takes `step` seconds."""

    step: float
    at: float = 0.0

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        self.at += self.step
        return self.at

    def wait(self, event: threading.Event, timeout: float) -> bool:
        del timeout
        return event.is_set()


class _Host:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def sweep(self) -> tuple[()]:
        if self._error is not None:
            raise self._error
        return ()


@pytest.fixture
def desired(tmp_path: Path) -> DesiredState:
    (tmp_path / "a.yaml").write_text(_SPECS)
    return load(tmp_path, fleet="default")


def seen(desired: DesiredState, *pools: ObservedPool, domain_types: tuple[str, ...] = ("kvm", "qemu")) -> View:
    facts = HostFacts("u", "h1", 16 * GIB, 8, "x86_64", domain_types, 9_000_000)
    host = HostInventory("h1", NOW, facts, {}, {pool.name: pool for pool in pools}, {})
    view = look()
    return View(desired, Inventory(hosts={"h1": host}), view.ledger, view.plan, view.status, NOW)


def pool(available: int, *, active: bool = True) -> ObservedPool:
    return ObservedPool("vms", "u", "dir", "/srv/vms", active, True, 100 * GIB, available, None)


def results(checks: object) -> list[tuple[str, str]]:
    return [(check.result, check.text) for check in checks]  # type: ignore[attr-defined]


def test_a_host_that_is_well_passes(desired: DesiredState) -> None:
    checks = list(host_checks("h1", seen(desired, pool(60 * GIB))))

    assert {check.result for check in checks} == {"good"}
    assert "libvirt 9.0.0" in checks[0].text


def test_a_host_that_does_not_answer_fails_with_its_hint(desired: DesiredState) -> None:
    view = seen(desired)
    unread = View(desired, Inventory(unread={"h1": UNREAD}), view.ledger, view.plan, view.status, NOW)

    (check,) = host_checks("h1", unread)

    assert (check.result, check.remedy) == ("bad", UNREAD.hint)


def test_a_missing_pool_that_is_said_to_exist_fails(desired: DesiredState) -> None:
    assert ("bad", "there is no pool vms") in results(host_checks("h1", seen(desired)))


@pytest.mark.parametrize("observed", [pool(5 * GIB), pool(0, active=False)])
def test_a_pool_that_will_not_take_much_is_a_warning(desired: DesiredState, observed: ObservedPool) -> None:
    checks = list(host_checks("h1", seen(desired, observed)))

    assert checks[-1].result == "warn"


def test_vms_that_need_kvm_where_there_is_none_are_a_warning(desired: DesiredState) -> None:
    checks = list(host_checks("h1", seen(desired, pool(60 * GIB), domain_types=("qemu",))))

    assert any(check.result == "warn" and "no KVM" in check.text for check in checks)


def test_a_slow_host_is_a_warning_and_a_quick_one_is_well() -> None:
    slow = latency_check("h1", _Host(), _Clock(0.5))  # type: ignore[arg-type]
    quick = latency_check("h1", _Host(), _Clock(0.001))  # type: ignore[arg-type]

    assert (slow.result, quick.result) == ("warn", "good")


def test_a_host_that_stops_answering_meanwhile_fails() -> None:
    error = HostTimeout("no answer in 5 s", host="h1", hint="look at libvirtd")

    check = latency_check("h1", _Host(error), _Clock(0.001))  # type: ignore[arg-type]

    assert (check.result, check.remedy) == ("bad", "look at libvirtd")


def test_an_open_transport_is_a_warning(desired: DesiredState, tmp_path: Path) -> None:
    checks = list(controller_checks(Settings(state_dir=tmp_path / "state"), desired))

    assert [check.subject for check in checks if check.result == "warn"] == ["tcp"]


def test_moves_that_are_to_be_encrypted_warn_of_certificates_that_nobody_can_see(
    desired: DesiredState, tmp_path: Path
) -> None:
    two = replace(desired, hosts={**desired.hosts, "h2": desired.hosts["h1"]})
    settings = Settings(state_dir=tmp_path / "state", policy=Policy(migration=Migration(tls=True)))

    checks = list(controller_checks(settings, two))

    assert [check.result for check in checks if check.subject == "tls of moves"] == ["warn"]


def test_a_running_controller_is_named(tmp_path: Path) -> None:
    with ControllerLock(tmp_path / "state", "run", _Clock(0.0)):
        checks = list(controller_checks(Settings(state_dir=tmp_path / "state"), None))

    assert any("`reconciler run`" in check.text for check in checks)


def test_mistakes_in_the_specs_fail_and_name_the_command_that_shows_them(tmp_path: Path) -> None:
    problem = SpecProblem(SourceRef("a.yaml", 1), "S014", "Host/h1", "spec.x", "unknown field")

    check = specs_check(DesiredState("g", problems=(problem,)), tmp_path, CommandLine((str(tmp_path),)))

    assert (check.result, check.remedy) == ("bad", f"reconciler validate {tmp_path}")


def test_a_fault_is_a_line_with_its_remedy_below() -> None:
    text = check_line(Check("bad", "h1", "no connection", "start libvirtd"), Terminal())

    assert text == "✗ h1: no connection\n    → start libvirtd"


def test_versions_read_as_libvirt_writes_them() -> None:
    assert version_words(9_000_000) == "9.0.0"
    assert version_words(10_010_003) == "10.10.3"

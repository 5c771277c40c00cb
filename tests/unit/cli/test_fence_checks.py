"""What `check` and `validate` find of fence devices before anything is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.command_line import CommandLine
from reconciler.cli.fence_checks import fence_checks
from reconciler.cli.preflight import Check
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceTest
from reconciler.model.host import FencingLevel, Host
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import HighAvailability
from reconciler.model.secret_ref import SecretRef
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.plans import NOW
from tests.unit.cli.worlds import FakeSession, doors
from tests.unit.fencing.rack import AGENT, Rack, host

FILE = SecretRef(file="h1-bmc")


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    folder = tmp_path / "rack"
    folder.mkdir()
    made = Rack(folder)
    (made.credentials / "h1-bmc").write_text("geheim")
    (made.credentials / "h1-bmc").chmod(0o600)
    return made


def checked(rack: Rack, checks: Host, passed: bool | None = True) -> tuple[Check, ...]:
    """What is found of the host; `passed` is its test on record."""
    policy = HighAvailability(agent_directory=str(rack.agents))
    tests = {} if passed is None else {"h1": FenceTest("h1", NOW, passed, devices_hash(checks), "no power status")}
    ledger = LedgerView(fence_tests=tests)
    return tuple(fence_checks((checks,), ledger, policy, Credentials(rack.environ), CommandLine()))


def level(rack: Rack, agent: str = AGENT) -> FencingLevel:
    return rack.level(rack.outlet("1"), agent=agent, password=FILE)


def test_devices_that_are_ready_and_tested_pass(rack: Rack) -> None:
    (found,) = checked(rack, host(level(rack)))

    assert (found.result, found.subject) == ("good", "h1")
    assert "1 fence device, tested" in found.text


def _forbid(rack: Rack) -> FencingLevel:
    rack.install("fence_other", "")
    return level(rack, "fence_other")


def _uninstall(rack: Rack) -> FencingLevel:
    (rack.agents / AGENT).unlink()
    return level(rack)


def _lose_the_secret(rack: Rack) -> FencingLevel:
    (rack.credentials / "h1-bmc").unlink()
    return level(rack)


def _expose_the_secret(rack: Rack) -> FencingLevel:
    (rack.credentials / "h1-bmc").chmod(0o644)
    rack.credentials.chmod(0o755)
    return level(rack)


@pytest.mark.parametrize(
    ("prepare", "result", "words", "remedy"),
    [
        (_forbid, "bad", "is not among the fence agents that may be run", "ha.fenceAgents"),
        (_uninstall, "bad", f"{AGENT}: no such file", "apt install fence-agents"),
        (_lose_the_secret, "bad", "password is read from the file h1-bmc, which is not in", "install -D -m 600"),
        (_expose_the_secret, "warn", "can be read by every account", "chmod 600"),
    ],
)
def test_a_device_that_could_not_be_used_is_found_with_its_remedy(
    rack: Rack, prepare: Callable[[Rack], FencingLevel], result: str, words: str, remedy: str
) -> None:
    found = checked(rack, host(prepare(rack)))[0]

    assert (found.result, found.subject) == (result, "h1")
    assert words in found.text
    assert found.text.count("level 1") == 1
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("passed", "result", "words"),
    [(None, "warn", "were never tested"), (False, "bad", "the last test of its fence devices failed: no power status")],
)
def test_devices_without_a_test_that_passed_are_found(
    rack: Rack, *, passed: bool | None, result: str, words: str
) -> None:
    found = checked(rack, host(level(rack)), passed)[-1]

    assert found.result == result
    assert words in found.text
    assert found.remedy == "reconciler fence test h1"


def test_a_host_without_devices_among_others_that_have_some_is_found(rack: Rack) -> None:
    policy, credentials = HighAvailability(agent_directory=str(rack.agents)), Credentials(rack.environ)
    bare = host(name="h2")

    among = list(fence_checks((host(level(rack)), bare), LedgerView(), policy, credentials, CommandLine()))
    alone = list(fence_checks((bare,), LedgerView(), policy, credentials, CommandLine()))

    assert [(check.result, check.text) for check in among if check.subject == "h2"] == [
        ("warn", "it has no fence device: its VMs would wait for a human's word that it is dead")
    ]
    assert alone == []


@pytest.mark.usefixtures("_own_environment")
def test_check_looks_at_fence_devices_too(rack: Rack, specs: Path, tmp_path: Path) -> None:
    (specs / "h1.yaml").write_text(_spec(AGENT))
    (tmp_path / "config.yaml").write_text(f"ha: {{agentDirectory: {rack.agents}}}\n")

    result = invoke("check", specs, "--config", tmp_path / "config.yaml", onto=doors(FakeSession([EMPTY])))

    assert "h1: its fence devices were never tested" in result.stdout


def _spec(agent: str, file: str = "h1-bmc") -> str:
    return (
        "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\n"
        "spec: {uri: 'qemu+ssh://h1/system', fencing: [{agent: " + agent + ", "
        "parameters: {ip: 10.1.0.11}, secrets: {password: {file: " + file + "}}}]}\n"
    )


@pytest.mark.usefixtures("_own_environment")
def test_an_agent_that_the_configuration_does_not_list_is_a_warning(specs: Path) -> None:
    (specs / "h1.yaml").write_text(_spec("fence_drac5"))

    result = invoke("validate", specs, "--output-format", "json")
    strict = invoke("validate", specs, "--strict")

    (problem,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == 0
    assert (problem["code"], problem["target"], problem["field"]) == ("S050", "Host/h1", "spec.fencing[0].agent")
    assert "fence_drac5 is not in ha.fenceAgents" in problem["message"]
    assert strict.exit_code == 1

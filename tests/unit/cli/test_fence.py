"""The fence commands from the outside: real agents that are scripts, a real ledger, simulated hosts."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from reconciler.cli.app import app
from reconciler.cli.completion import complete_host
from reconciler.cli.words import moment
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import AttemptEnd, FenceTest, HostHealth, Machine
from tests.unit.cli.fence_world import INCIDENT, World
from tests.unit.cli.plans import NOW
from tests.unit.fencing.rack import AGENT, asked

pytestmark = pytest.mark.usefixtures("_own_environment")


# -- test --------------------------------------------------------------------------------------------------------------


def test_a_test_that_passes_arms_the_host_and_switches_nothing(world: World) -> None:
    result = world.call("test", "h1")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"✔ h1: level 1 ({AGENT}, plug {world.outlet}): power is on")
    assert asked(world.outlet) == ["status"]
    with world.ledger() as ledger:
        assert ledger.view().fence_tests["h1"].passed


def test_a_test_that_fails_is_remembered_too_and_exits_1(world: World) -> None:
    world.write("deaf")

    result = world.call("test", "h1")

    assert result.exit_code == 1
    assert "✗ h1: level 1" in result.stdout
    assert "no power status: exit code 1" in result.stdout
    assert "h1 would not be fenced; mend that, then: reconciler fence test h1 --specs" in result.stderr
    with world.ledger() as ledger:
        assert not ledger.view().fence_tests["h1"].passed


def test_all_hosts_that_have_devices_are_tested(world: World) -> None:
    result = world.call("test", "--all", "--json")

    assert result.exit_code == 0
    assert [(item["host"], item["passed"]) for item in json.loads(result.stdout)] == [("h1", True)]


def test_a_host_without_devices_fails_its_test(world: World) -> None:
    result = world.call("test", "h2")

    assert result.exit_code == 1
    assert "it has no fence device" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("h1", "--all")])
def test_a_test_is_of_one_host_or_of_all(world: World, arguments: tuple[str, ...]) -> None:
    result = world.call("test", *arguments)

    assert result.exit_code == 1
    assert "takes one HOST, or --all" in result.stderr


def test_a_host_that_is_not_in_the_specs_is_an_error_with_those_that_are(world: World) -> None:
    result = world.call("test", "h9")

    assert result.exit_code == 1
    assert "no usable Host/h9" in result.stderr
    assert "hosts: h1, h2" in result.stderr


@pytest.mark.parametrize("known", ["from the ledger", "from the host"])
def test_a_device_that_switches_another_host_fails_its_test(world: World, known: str) -> None:
    other = world.hosts.world.hosts["h2"].facts.uuid
    world.rack.install("fence_virsh", "#!/bin/sh\necho vm-1,\n")
    world.write(level=f"{{agent: fence_virsh, parameters: {{plug: {other}}}}}")
    if known == "from the ledger":
        world.hosts.power_off("h2")
        with world.ledger() as ledger:
            ledger.record_machines(Machine("h2", other, "qemu+ssh://h2/system"))
    world.hosts.power_off("h1")

    result = world.call("test", "h1")

    assert result.exit_code == 1
    assert "is the machine of Host/h2: are the two swapped?" in result.stdout


def test_a_host_that_is_dead_can_be_tested(world: World) -> None:
    world.hosts.power_off("h1")

    assert world.call("test", "host/h1").exit_code == 0


def test_hosts_of_the_specs_are_offered_by_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SPECS", str(world.folder / "fleet"))
    argument = click.Argument(["host"])

    assert complete_host(click.Context(app), argument, "") == ["h1", "h2"]
    assert complete_host(click.Context(app), argument, "h2") == ["h2"]


def test_a_secret_that_every_account_can_read_is_warned_of(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    secret = tmp_path / "h1-bmc"
    secret.write_text("geheim")
    secret.chmod(0o644)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    parameters = f"parameters: {{plug: '{world.outlet}', mode: obey}}"
    world.write(level=f"{{agent: {AGENT}, {parameters}, secrets: {{password: {{file: h1-bmc}}}}}}")

    result = world.call("test", "h1")

    assert result.exit_code == 0
    assert f"warning: h1: {secret} can be read by every account of this machine: chmod 600 {secret}" in result.stderr


def test_a_secret_that_whoever_asks_cannot_read_disarms_no_host(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "h1-bmc"
    secret.write_text("geheim")
    secret.chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    parameters = f"parameters: {{plug: '{world.outlet}', mode: obey}}"
    world.write(level=f"{{agent: {AGENT}, {parameters}, secrets: {{password: {{file: h1-bmc}}}}}}")
    world.call("test", "h1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "of-nobody"))

    result = world.call("test", "--all")

    assert result.exit_code == 1
    assert "✗ h1: level 1" in result.stdout
    assert "not tested: password is read from the file h1-bmc, which is not in" in result.stdout
    assert "h1 not tested: what was known of it stands" in result.stderr
    with world.ledger() as ledger:
        assert ledger.view().fence_tests["h1"].passed


# -- status ------------------------------------------------------------------------------------------------------------


def test_status_asks_every_device_and_exits_0_once_the_test_has_passed(world: World) -> None:
    world.call("test", "h1")

    result = world.call("status", "--json")

    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert (first["host"], first["armed"], first["levels"][0]["power"]) == ("h1", True, "on")
    assert (second["host"], second["armed"], second["levels"]) == ("h2", False, [])


def test_status_of_devices_that_were_never_tested_exits_1_with_the_command(world: World) -> None:
    result = world.call("status")

    assert result.exit_code == 1
    assert "never tested; next: reconciler fence test h1 --specs" in result.stdout
    assert "no fence devices: never fenced" in result.stdout


@pytest.mark.parametrize("held", ["Host/h1", "fleet"])
def test_status_tells_that_a_host_is_held(world: World, held: str) -> None:
    """Its devices may be well, and still nobody uses them."""
    with world.ledger() as ledger:
        ledger.pause(held)

    shown, data = world.call("status", "h1"), world.call("status", "h1", "--json")

    assert "held: not fenced whatever happens" in shown.stdout
    assert json.loads(data.stdout)[0]["held"] is True


def test_a_test_of_other_devices_counts_no_more(world: World) -> None:
    world.call("test", "h1")
    world.outlet = world.rack.outlet("2")
    world.write()

    result = world.call("status", "h1")

    assert result.exit_code == 1
    assert "devices changed since their test" in result.stdout


def test_status_tells_why_the_last_test_failed_though_the_device_answers_by_now(world: World) -> None:
    told = FenceTest("h1", NOW, False, devices_hash(world.host()), "level 1: its GUID is that of Host/h2")
    with world.ledger() as ledger:
        ledger.record_fence_test(told)

    result = world.call("status", "h1")

    assert "the test failed: level 1: its GUID is that of Host/h2; next: reconciler fence test h1" in result.stdout


def test_status_says_once_why_a_device_does_not_answer(world: World) -> None:
    world.write("deaf")
    world.call("test", "h1")

    assert world.call("status", "h1").stdout.count("exit code 1") == 1


@pytest.mark.parametrize("tested_since", [True, False])
def test_a_device_that_failed_to_switch_off_when_it_was_needed_is_told(world: World, *, tested_since: bool) -> None:
    """A BMC that lies passes every test, as tests switch nothing."""
    world.call("test", "h1")
    with world.ledger() as ledger:
        test = ledger.view().fence_tests["h1"]
        at = test.at + (-60 if tested_since else 60)
        ends: tuple[tuple[AttemptEnd, str], ...] = (
            ("failed", "it still says that the power is on"),
            ("cancelled", "called off"),
        )
        for end, message in ends:
            ledger.end_attempt(ledger.begin_attempt("h1", "i7", 1, AGENT, at), end, message, at + 10)

    result, data = world.call("status", "h1"), world.call("status", "h1", "--json")

    assert f"switching off failed {moment(at)}: it still says that the power is on" in result.stdout
    assert json.loads(data.stdout)[0]["levels"][0]["lastFailure"]["message"] == "it still says that the power is on"
    assert result.exit_code == (0 if tested_since else 1)


def test_a_device_that_has_switched_off_since_is_well(world: World) -> None:
    world.call("test", "h1")
    with world.ledger() as ledger:
        at = ledger.view().fence_tests["h1"].at + 60
        ledger.end_attempt(ledger.begin_attempt("h1", "i7", 1, AGENT, at), "failed", "no", at + 10)
        ledger.end_attempt(ledger.begin_attempt("h1", "i7", 1, AGENT, at + 20), "confirmed", "off", at + 30)

    result = world.call("status", "h1")

    assert "switching off failed" not in result.stdout
    assert result.exit_code == 0


def test_status_tells_of_a_lost_host_what_was_tried_and_what_a_human_can_do(world: World) -> None:
    with world.ledger() as ledger:
        ledger.record_health(HostHealth("h1", "unreachable", "silent", "h1 is silent", NOW, NOW - 6))
        ledger.open_incident(INCIDENT)
        attempt = ledger.begin_attempt("h1", "i7", 1, AGENT, NOW)
        ledger.end_attempt(attempt, "timed-out", "no answer in time", NOW + 60)
    world.write("deaf")

    shown, data = world.call("status", "h1"), world.call("status", "h1", "--json")

    assert "reconciler fence confirm h1 --reason TEXT" in shown.stdout
    found = json.loads(data.stdout)[0]
    assert (found["state"], found["incident"]["id"], found["proof"]) == ("unreachable", "i7", None)
    assert found["attempts"][0]["end"] == "timed-out"

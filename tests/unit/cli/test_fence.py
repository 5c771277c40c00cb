"""The fence commands from the outside: real agents that are scripts, a real ledger, simulated hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from click.testing import Result
from msgspec.structs import replace

from reconciler.cli.app import app
from reconciler.cli.completion import complete_host
from reconciler.cli.fence_confirm import who
from reconciler.cli.outside import Outside, Session
from reconciler.cli.words import moment
from reconciler.config import Settings
from reconciler.errors import HostRefused
from reconciler.hypervisor.interface import Fleet
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.ledger.store import Ledger
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import AttemptEnd, FenceProof, FenceTest, HostHealth, Incident, Machine
from reconciler.model.host import Host
from reconciler.specfiles.loader import load
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.plans import NOW
from tests.unit.cli.worlds import FakeSession, doors
from tests.unit.fencing.rack import AGENT, Rack, asked

pytestmark = pytest.mark.usefixtures("_own_environment")

INCIDENT = Incident("i7", "h1", opened=NOW, last_seen=NOW - 6)


@dataclass(slots=True)
class _Hosts(FakeSession):
    simulated: SimulatedFleet = field(default_factory=SimulatedFleet)

    @property
    def fleet(self) -> Fleet:
        return self.simulated


@dataclass
class World:
    """A fleet of h1 and h2 whose power is in the rack; h1 has the device, h2 has none."""

    folder: Path
    rack: Rack
    outlet: Path
    hosts: SimulatedFleet = field(default_factory=SimulatedFleet)

    def call(self, *arguments: object) -> Result:
        places = ("--specs", self.folder / "fleet", "--config", self.folder / "config.yaml")
        return invoke("fence", *arguments, *places, onto=self._doors())

    def ledger(self) -> Ledger:
        return Ledger(self.folder / "state")

    def write(self, mode: str = "obey", level: str = "") -> None:
        level = level or f"{{agent: {AGENT}, parameters: {{plug: '{self.outlet}', mode: {mode}}}}}"
        specs = "".join(
            f"---\napiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {name}}}\n"
            f"spec: {{uri: 'qemu+ssh://{name}/system', fencing: [{levels}]}}\n"
            for name, levels in (("h1", level), ("h2", ""))
        )
        (self.folder / "fleet" / "hosts.yaml").write_text(specs)

    def host(self) -> Host:
        """h1 as it is in the specs."""
        return load(self.folder / "fleet", fleet="default").hosts["h1"]

    def _doors(self) -> Outside:
        session = _Hosts([EMPTY], simulated=self.hosts)

        @contextmanager
        def open_session(settings: Settings, writer: str | None) -> Iterator[Session]:
            del settings, writer
            yield session

        return replace(doors(session), open_session=open_session)


@pytest.fixture
def world(tmp_path: Path, specs: Path) -> World:
    assert specs.exists()
    (tmp_path / "rack").mkdir()
    rack = Rack(tmp_path / "rack")
    (tmp_path / "config.yaml").write_text(f"ha: {{agentDirectory: {rack.agents}, fenceTimeout: 5s}}\n")
    made = World(tmp_path, rack, rack.outlet("1"))
    made.write()
    for name in ("h1", "h2"):
        made.hosts.add_host(name)
    return made


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


# -- confirm -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lost(world: World) -> World:
    """h1 is silent, its device says that it is off, and an incident is open."""
    world.outlet.write_text("off")
    with world.ledger() as ledger:
        ledger.open_incident(INCIDENT)
    world.hosts.power_off("h1")
    return world


def test_a_confirmation_is_recorded_with_who_and_why(lost: World) -> None:
    result = lost.call("confirm", "h1", "--reason", "both cords\tpulled", "--by", "Ann", "--yes")

    assert result.exit_code == 0, result.output
    with lost.ledger() as ledger:
        proof = ledger.view().proofs["h1"]
        events = ledger.events("Host/h1")
    assert (proof.incident, proof.kind, proof.evidence) == ("i7", "human", "both cords pulled")
    assert proof.by.startswith("Ann (as ")
    assert [(event.event, event.message) for event in events] == [
        ("fence-proof", f"confirmed by {proof.by}: both cords pulled")
    ]


def test_a_confirmation_says_what_it_means(lost: World) -> None:
    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert "its VMs are started on other hosts" in result.stderr
    assert "their disks are destroyed" in result.stderr


def test_a_confirmation_that_nobody_can_be_asked_for_is_refused(lost: World) -> None:
    result = lost.call("confirm", "h1", "--reason", "x")

    assert result.exit_code == 1
    assert "add --yes" in result.stderr
    with lost.ledger() as ledger:
        assert ledger.view().proofs == {}


def test_a_host_that_answers_is_not_confirmed_dead(lost: World) -> None:
    lost.hosts.power_on("h1")

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 1
    assert "Host/h1 is not dead: it answers right now" in result.stderr
    with lost.ledger() as ledger:
        assert ledger.view().proofs == {}


def test_a_host_that_answers_with_a_refusal_is_alive(lost: World) -> None:
    lost.hosts.power_on("h1")
    lost.hosts.fail_next("h1", "ping", HostRefused("authentication failed", host="h1"))

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 1
    assert "it answers, though only to refuse: authentication failed" in result.stderr


def test_a_host_that_hangs_holds_the_confirmation_up_for_a_moment_only(lost: World) -> None:
    lost.hosts.power_on("h1")
    lost.hosts.hang("h1")
    begun = lost.hosts.world.clock.monotonic()

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 0, result.output
    assert lost.hosts.world.clock.monotonic() - begun <= 2.0


def test_a_host_whose_device_says_on_is_not_confirmed_dead(lost: World) -> None:
    """A host that hangs runs its guests: whoever has not looked can be told by its device."""
    lost.outlet.write_text("on")

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 1
    assert f"level 1 ({AGENT}, plug {lost.outlet}) says that its power is on" in result.stderr
    assert "--although-on" in result.stderr
    with lost.ledger() as ledger:
        assert ledger.view().proofs == {}


def test_a_device_that_is_surely_wrong_can_be_overruled_and_that_is_on_record(lost: World) -> None:
    lost.outlet.write_text("on")

    result = lost.call("confirm", "h1", "--reason", "cords are out", "--yes", "--although-on")

    assert result.exit_code == 0, result.output
    with lost.ledger() as ledger:
        evidence = ledger.view().proofs["h1"].evidence
    assert evidence == f"cords are out (although level 1 ({AGENT}, plug {lost.outlet}) says that it is on)"


@pytest.mark.parametrize("mode", ["deaf", "hang"])
def test_a_device_that_does_not_answer_keeps_nobody_from_confirming(lost: World, mode: str) -> None:
    lost.write(mode)

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 0, result.output
    assert "asking 1 fence device of h1 for its power, for 5 s at the most" in result.stderr
    assert "does not tell its power: " in result.stderr


def test_a_host_without_devices_is_confirmed_dead_without_asking_any(world: World) -> None:
    with world.ledger() as ledger:
        ledger.open_incident(replace(INCIDENT, host="h2"))
    world.hosts.power_off("h2")

    result = world.call("confirm", "h2", "--reason", "x", "--yes")

    assert result.exit_code == 0, result.output
    assert "asking" not in result.stderr


@pytest.mark.parametrize("held", ["Host/h1", "fleet"])
def test_a_held_host_is_not_confirmed_dead_by_the_way(lost: World, held: str) -> None:
    """Whoever holds it may have stopped its libvirtd, and left its guests running."""
    with lost.ledger() as ledger:
        ledger.pause(held)

    refused = lost.call("confirm", "h1", "--reason", "x", "--yes")
    agreed = lost.call("confirm", "h1", "--reason", "x", "--yes", "--although-held")

    assert refused.exit_code == 1
    assert "Host/h1 is held" in refused.stderr
    assert "--although-held" in refused.stderr
    assert agreed.exit_code == 0, agreed.output


def test_status_does_not_offer_to_confirm_a_host_that_is_on(lost: World) -> None:
    lost.outlet.write_text("on")

    result = lost.call("status", "h1")

    assert "fence confirm" not in result.stdout
    assert "it is on: it may well run its VMs" in result.stdout


def test_a_host_without_an_incident_is_not_confirmed_dead(world: World) -> None:
    world.hosts.power_off("h1")

    result = world.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 1
    assert "no open incident" in result.stderr
    assert "reconciler status" in result.stderr


def test_a_host_that_has_returned_is_not_confirmed_dead(lost: World) -> None:
    with lost.ledger() as ledger:
        ledger.note_return("h1", NOW + 10)

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 1
    assert "has answered again" in result.stderr


def test_the_first_proof_stands(lost: World) -> None:
    with lost.ledger() as ledger:
        ledger.record_proof(FenceProof("h1", "i7", "fenced", NOW, "the BMC says off", AGENT))

    result = lost.call("confirm", "h1", "--reason", "x", "--yes")

    assert result.exit_code == 0
    assert f"proven dead already, by {AGENT}" in result.stdout
    with lost.ledger() as ledger:
        assert ledger.view().proofs["h1"].kind == "fenced"


@pytest.mark.parametrize("reason", ["", "  ", "a\x1b[2Jb", "x" * 501])
def test_a_confirmation_needs_a_reason_that_can_be_read(lost: World, reason: str) -> None:
    result = lost.call("confirm", "h1", "--reason", reason, "--yes")

    assert result.exit_code == 1
    assert "--reason must say" in result.stderr


@pytest.mark.parametrize(
    ("by", "environ", "told"),
    [
        (None, {"SUDO_USER": "ann"}, "ann"),
        ("Ann B.", {"SUDO_USER": "ann"}, "Ann B. (as ann)"),
        ("ann", {"SUDO_USER": "ann"}, "ann"),
    ],
)
def test_who_confirmed_is_told_with_the_account_even_through_sudo(
    by: str | None, environ: dict[str, str], told: str
) -> None:
    assert who(by, environ) == told

"""`fence confirm` from the outside: what is asked before a human's word is taken, and what is recorded."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.cli.sayings import who
from reconciler.errors import HostRefused
from reconciler.model.health import FenceProof
from tests.unit.cli.fence_world import INCIDENT, World
from tests.unit.cli.plans import NOW
from tests.unit.fencing.rack import AGENT

pytestmark = pytest.mark.usefixtures("_own_environment")


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
    assert "asking 1 fence device of h1 for its power, for 4 s at the most" in result.stderr
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


@pytest.mark.parametrize("reason", ["", "  ", "a\x1b[2Jb", "x" * 501, "TEXT"])
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

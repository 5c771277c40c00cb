"""What is written down of hosts that are lost and come back, pass by pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.daemon.health_keeper import HealthKeeper, note_those_that_answer
from reconciler.errors import PreconditionFailed
from reconciler.ledger.store import Ledger
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceProof, FenceTest, HostState, Machine, ProofKind
from reconciler.model.identity import vm_uuid
from reconciler.model.inventory import Inventory, ObservedDomain
from reconciler.model.ledger import LedgerView
from reconciler.planner.host_health import OTHER_MACHINE_SILENT
from tests.support.domains import domain_config
from tests.support.fleets import FLEET, POLICY, desired, host, mark, observed, observed_host
from tests.unit.daemon.watching import Watched


class Kept:
    """A controller that watches three hosts; `web` is placed on h1 with epoch 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(path)
        self.ledger.record_placement("web", "h1", 1, 0.0)
        self.watched = Watched()
        self.left: dict[str, tuple[ObservedDomain, ...]] = {}
        self.fencing: frozenset[str] = frozenset()
        self.begin()

    def begin(self) -> None:
        """Start another controller over the same ledger."""
        self.watched.watch = self.watched.new_watch()
        self.keeper = HealthKeeper(self.watched.watch, self.ledger, self.watched.clock, POLICY)

    def pass_seconds(self, seconds: float) -> LedgerView:
        """Let time go by, and have a pass at its end."""
        self.watched.pass_seconds(seconds)
        return self.judged()

    def judged(self) -> LedgerView:
        specs, view = desired(*self.watched.hosts.values()), self.ledger.view()
        self.keeper.follow(specs, self.fencing)
        return self.keeper.note(specs, self.inventory(), view, self.fencing)

    def inventory(self) -> Inventory:
        """Hosts that answer, as they would be read."""
        faults = {name: self.watched.fleet.world.hosts[name].faults for name in self.watched.hosts}
        alive = [name for name, fault in faults.items() if fault.powered and fault.linked and not fault.hung]
        return Inventory(hosts={name: observed_host(name, domains=self.left.get(name, ())) for name in alive})

    def lose(self) -> LedgerView:
        """Settle, cut h1 off, and wait until the grace is over."""
        self.pass_seconds(5)
        self.watched.fleet.cut_network("h1")
        for _ in range(7):
            view = self.pass_seconds(1)
        return view

    def prove(self, kind: ProofKind = "fenced") -> FenceProof:
        incident = self.ledger.incident("h1")
        assert incident is not None
        proof = FenceProof("h1", incident.id, kind, self.watched.clock.now(), "the device says off", "fence_ipmilan")
        self.ledger.record_proof(proof)
        return proof

    def arm(self) -> None:
        host = self.watched.hosts["h1"]
        self.ledger.record_fence_test(FenceTest("h1", 0.0, passed=True, devices=devices_hash(host), message=""))

    def state(self) -> HostState:
        return self.ledger.view().health["h1"].state

    def events(self, target: str = "Host/h1") -> list[str]:
        return [event.event for event in reversed(self.ledger.events(target))]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    with kept.ledger:
        yield kept


def copy(epoch: int) -> ObservedDomain:
    return observed(domain_config("web", uuid=vm_uuid(FLEET, "web"), mark=mark("web", epoch=epoch)), "shutoff")


def test_hosts_that_answer_are_online_and_nothing_is_told_of_them(kept: Kept) -> None:
    kept.pass_seconds(1)
    view = kept.pass_seconds(5)

    assert {name: health.state for name, health in view.health.items()} == {
        "h1": "online",
        "h2": "online",
        "h3": "online",
    }
    assert view.incidents == {}
    assert kept.events() == []


def test_a_lost_host_goes_from_suspect_to_unreachable_and_opens_an_incident(kept: Kept) -> None:
    kept.pass_seconds(5)
    cut_at = kept.watched.clock.now()
    kept.watched.fleet.cut_network("h1")

    states = [kept.pass_seconds(1).health["h1"].state for _ in range(7)]

    assert states == ["online", "suspect", "suspect", "suspect", "suspect", "unreachable", "unreachable"]
    incident = kept.ledger.view().incidents["h1"]
    assert (incident.last_seen, incident.suspect_at, incident.unreachable_at) == (cut_at, cut_at + 2, cut_at + 6)
    assert kept.events() == ["host-last-seen", "host-suspect", "host-unreachable"]


def test_vms_of_a_lost_host_have_its_timeline(kept: Kept) -> None:
    kept.lose()

    assert kept.events("VirtualMachine/web") == ["host-last-seen", "host-suspect", "host-unreachable"]


def test_a_device_that_says_off_makes_a_host_unreachable_without_the_grace(kept: Kept) -> None:
    kept.arm()
    kept.pass_seconds(5)
    kept.watched.devices.says["h1"] = "off"
    kept.watched.fleet.power_off("h1")

    view = kept.pass_seconds(2.1)

    assert view.health["h1"].rule == "power-off"
    assert "h1" in view.incidents


def test_a_device_that_stopped_answering_is_told_of_while_its_host_answers(kept: Kept) -> None:
    kept.arm()
    kept.judged()
    kept.judged()

    kept.pass_seconds(60)
    view = kept.ledger.view()

    assert (view.health["h1"].state, view.health["h1"].rule) == ("online", "device-doubtful")
    assert "does not answer" in view.health["h1"].sentence
    assert view.health["h2"].rule == "answers"
    kept.watched.devices.says["h1"] = "on"
    kept.pass_seconds(600)
    assert kept.ledger.view().health["h1"].rule == "answers"


def test_a_host_that_is_being_fenced_is_said_to_be_and_its_device_is_left_alone(kept: Kept) -> None:
    kept.lose()
    kept.fencing = frozenset({"Host/h1"})
    kept.judged()
    kept.watched.devices.asked.clear()

    kept.pass_seconds(5)

    assert kept.state() == "fencing"
    assert kept.watched.devices.asked == []


def test_a_proof_makes_it_fenced(kept: Kept) -> None:
    kept.lose()
    proof = kept.prove()

    view = kept.pass_seconds(1)

    assert view.health["h1"].state == "fenced"
    assert view.proofs == {"h1": proof}


def test_one_answer_ends_what_was_proven(kept: Kept) -> None:
    kept.lose()
    kept.prove()
    kept.left["h1"] = (copy(1),)
    kept.ledger.record_placement("web", "h2", 2, 0.0)
    kept.watched.fleet.restore_network("h1")

    view = kept.pass_seconds(0.5)

    assert view.proofs == {}
    assert view.health["h1"].state == "returning"


def test_a_host_that_is_back_is_online_once_it_is_clean(kept: Kept) -> None:
    kept.lose()
    kept.prove()
    kept.left["h1"] = (copy(1),)
    kept.ledger.record_placement("web", "h2", 2, 0.0)
    kept.watched.fleet.restore_network("h1")
    assert kept.pass_seconds(10).health["h1"].state == "returning"

    kept.left.clear()
    view = kept.judged()

    assert view.health["h1"].state == "online"
    assert view.incidents == {}
    assert kept.events()[-2:] == ["host-returned", "host-online"]


def test_a_host_that_is_lost_again_while_it_returns_is_not_dead_by_the_old_proof(kept: Kept) -> None:
    kept.lose()
    old = kept.prove()
    kept.left["h1"] = (copy(1),)
    kept.ledger.record_placement("web", "h2", 2, 0.0)
    kept.watched.fleet.restore_network("h1")
    kept.pass_seconds(2)

    view = kept.lose()

    assert view.health["h1"].state == "unreachable"
    assert view.proofs == {}
    assert view.incidents["h1"].id != old.incident
    with pytest.raises(PreconditionFailed):
        kept.ledger.record_proof(old)


def test_an_answer_between_two_passes_is_not_missed(kept: Kept) -> None:
    kept.lose()
    kept.prove()
    kept.judged()
    kept.watched.fleet.restore_network("h1")
    kept.watched.pass_seconds(1)
    kept.watched.fleet.cut_network("h1")

    view = kept.pass_seconds(3)

    assert view.proofs == {}


def test_a_flapping_link_leaves_the_host_suspect_and_opens_nothing(kept: Kept) -> None:
    kept.pass_seconds(5)

    states = set()
    for _ in range(20):
        kept.watched.fleet.cut_network("h1")
        states.add(kept.pass_seconds(3).health["h1"].state)
        kept.watched.fleet.restore_network("h1")
        states.add(kept.pass_seconds(1).health["h1"].state)

    assert states == {"suspect"}
    assert kept.ledger.view().incidents == {}


def test_what_an_earlier_controller_proved_is_proven_anew(kept: Kept) -> None:
    kept.lose()
    old = kept.prove()
    kept.judged()

    kept.begin()
    kept.pass_seconds(1)
    view = kept.pass_seconds(7)

    assert view.health["h1"].state == "unreachable"
    assert view.proofs == {}
    assert view.incidents["h1"].id != old.incident


def test_what_an_earlier_controller_proved_stands_if_the_device_still_says_off(kept: Kept) -> None:
    kept.arm()
    kept.lose()
    proof = kept.prove()
    kept.watched.devices.says["h1"] = "off"

    kept.begin()
    kept.judged()
    view = kept.pass_seconds(7)

    assert view.health["h1"].state == "fenced"
    assert view.proofs == {"h1": proof}


def test_the_word_of_a_human_outlives_the_controller(kept: Kept) -> None:
    kept.lose()
    kept.prove("human")

    kept.begin()
    kept.judged()
    view = kept.pass_seconds(7)

    assert view.health["h1"].state == "fenced"


def test_attempts_of_a_controller_that_died_are_cut_off_by_the_next(kept: Kept) -> None:
    kept.ledger.begin_attempt("h1", "i1", 1, "fence_ipmilan", 0.0)

    kept.begin()

    assert [attempt.end for attempt in kept.ledger.attempts("h1")] == ["cut-off"]


def test_another_machine_under_the_name_is_quarantined(kept: Kept) -> None:
    kept.left["h1"] = (copy(1),)
    kept.pass_seconds(3)
    kept.ledger.record_machines(Machine("h1", "the machine before", ""))
    kept.left.clear()

    kept.judged()
    view = kept.judged()

    assert view.health["h1"].state == "quarantined"
    assert kept.ledger.host_identities()["h1"] == "the machine before"


def test_another_machine_that_falls_silent_is_an_incident_like_any_other(kept: Kept) -> None:
    """Also for the next controller, which has never seen either of the two."""
    kept.left["h1"] = (copy(1),)
    kept.pass_seconds(3)
    kept.ledger.record_machines(Machine("h1", "the machine before", ""))
    kept.left.clear()
    kept.judged()
    kept.judged()
    kept.watched.fleet.cut_network("h1")

    states = [kept.pass_seconds(1).health["h1"].rule for _ in range(8)]
    kept.begin()
    kept.pass_seconds(1)
    view = kept.pass_seconds(8)

    assert states[0] == "identity-changed"
    assert states[-1] == OTHER_MACHINE_SILENT
    assert view.health["h1"].rule == OTHER_MACHINE_SILENT
    assert view.incidents["h1"].returned_at is None


def test_a_host_that_left_the_specs_takes_its_incident_along(kept: Kept) -> None:
    kept.lose()
    kept.prove()
    del kept.watched.hosts["h1"]

    view = kept.judged()

    assert "h1" not in view.health
    assert view.incidents == {}


def test_nothing_is_written_while_nothing_changes(kept: Kept) -> None:
    kept.pass_seconds(1)
    before = kept.pass_seconds(5)

    for _ in range(5):
        kept.pass_seconds(10)

    assert replace(kept.judged(), quiet=True) == before
    assert kept.ledger.events() == ()


def test_it_is_quiet_at_first(kept: Kept) -> None:
    assert kept.pass_seconds(50).quiet
    assert not kept.pass_seconds(10).quiet


def test_a_controller_that_does_not_watch_ends_the_proof_of_a_host_that_it_reads(kept: Kept) -> None:
    kept.lose()
    kept.prove()
    kept.watched.fleet.restore_network("h1")

    note_those_that_answer(kept.ledger, kept.inventory(), kept.ledger.view(), FLEET, 0.0)

    assert kept.ledger.view().proofs == {}


def test_a_host_that_is_silent_since_its_uri_was_changed_is_not_lost(kept: Kept) -> None:
    kept.pass_seconds(5)
    kept.watched.hosts["h1"] = host("h1", uri="qemu+ssh://typo.example/system")
    kept.watched.fleet.cut_network("h1")

    view = kept.pass_seconds(60)
    kept.begin()
    kept.judged()
    later = kept.pass_seconds(90)

    assert (view.health["h1"].state, view.health["h1"].rule) == ("unknown", "moved")
    assert later.health["h1"].rule == "moved"
    assert later.incidents == {}


def test_a_host_that_answered_under_its_new_uri_can_be_lost(kept: Kept) -> None:
    kept.pass_seconds(5)
    kept.watched.hosts["h1"] = host("h1", uri="qemu+ssh://new.example/system")
    kept.judged()

    assert kept.lose().health["h1"].state == "unreachable"


def test_a_machine_that_was_replaced_on_purpose_is_taken_once_its_host_left_the_specs_for_a_moment(kept: Kept) -> None:
    kept.pass_seconds(3)
    kept.ledger.record_machines(Machine("h1", "the machine before", kept.watched.hosts["h1"].spec.uri))
    replaced = kept.watched.hosts.pop("h1")
    kept.judged()

    kept.watched.hosts["h1"] = replaced
    kept.judged()

    assert kept.pass_seconds(3).health["h1"].state == "online"

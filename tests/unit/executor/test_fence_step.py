"""Fencing and what follows from it: nobody is cut off who could be talked to, and only a proof lets a VM move."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from reconciler.errors import FencingFailed, FencingStopped
from reconciler.executor.backoff import FENCING_BACKOFF
from reconciler.executor.executor import Executor
from reconciler.fencing.interface import AttemptLog
from reconciler.ledger.records import FENCE_BEGAN, FENCE_PROOF
from reconciler.model import steps
from reconciler.model.health import FenceProof, FenceTest, HostHealth, HostState, Incident, Power
from reconciler.model.host import Host
from reconciler.model.identity import vm_uuid
from reconciler.model.outcome import Outcome
from tests.unit.executor.bench import FLEET, Bench, action, config, plan_of

UUID = vm_uuid(FLEET, "web")
FENCE = steps.FenceHost("h1", "i-1")


class Devices:
    """One device that does as it is told by `during`, and then confirms that the power is off."""

    def __init__(self, during: Callable[[threading.Event], None] | None = None, *, says_on: bool = True) -> None:
        self.asked: list[str] = []
        self.switched: list[str] = []
        self.during = during
        self.says_on = says_on

    def power(self, host: Host) -> Power:  # noqa: ARG002
        return "unknown"

    def test(self, host: Host, **_: object) -> FenceTest:
        return FenceTest(host.name, 0.0, passed=True, devices="", message="")

    def fence(self, host: Host, incident: str, attempts: AttemptLog, stop: threading.Event) -> FenceProof:
        self.asked.append(host.name)
        attempt = attempts.began(1, "fence_ipmilan")
        if self.during is not None:
            self.during(stop)
        if stop.is_set():
            attempts.ended(attempt, "cancelled", "called off")
            raise FencingStopped("called off")
        if self.says_on:
            try:
                attempts.before_off()
            except FencingStopped as error:
                attempts.ended(attempt, "cancelled", error.message)
                raise
            self.switched.append(host.name)
        attempts.ended(attempt, "confirmed", "off")
        return FenceProof(host.name, incident, "fenced", 1.0, "it says off", "fence_ipmilan")


@pytest.fixture
def lost(bench: Bench) -> Bench:
    """`web` ran on h1, which has an open incident and no power."""
    bench.with_vm(running=True)
    bench.fleet.power_off("h1")
    bench.ledger.open_incident(Incident("i-1", "h1", bench.clock.now(), None))
    bench.ledger.record_health(judged("h1", "unreachable"), judged("h2", "online"))
    return bench


def judged(host: str, state: HostState) -> HostHealth:
    return HostHealth(host, state, state, f"it is {state}", 0.0, None)


def fence(bench: Bench, devices: Devices, step: steps.FenceHost = FENCE) -> Outcome:
    executor: Executor = replace(bench.executor, power=devices)
    return executor.execute(plan_of(action(step, "Host/h1", host=None)), bench.desired, stop=bench.stop)[0]


def human(bench: Bench) -> None:
    bench.ledger.record_proof(FenceProof("h1", "i-1", "human", bench.clock.now(), "it is unplugged", "ann"))


# -- fencing -----------------------------------------------------------------------------------------------------------


def test_a_confirmed_off_is_a_proof_with_its_attempt_and_its_place_in_the_timeline(lost: Bench) -> None:
    outcome = fence(lost, Devices())

    proof = lost.ledger.proof("h1")
    assert outcome.status == "done"
    assert proof is not None
    assert (proof.kind, proof.evidence) == ("fenced", "it says off")
    assert [(a.agent, a.end) for a in lost.ledger.attempts("h1")] == [("fence_ipmilan", "confirmed")]
    events = [event.event for event in lost.ledger.events("Host/h1")]
    assert {FENCE_BEGAN, FENCE_PROOF} <= set(events)


def test_a_host_that_answers_is_not_cut_off(lost: Bench) -> None:
    lost.fleet.power_on("h1")
    devices = Devices()

    outcome = fence(lost, devices)

    assert outcome.status == "refused"
    assert "answers again" in outcome.message
    assert devices.asked == []


def test_a_host_whose_incident_is_over_is_not_cut_off(lost: Bench) -> None:
    lost.ledger.close_incident("h1", lost.clock.now())
    devices = Devices()

    assert fence(lost, devices).status == "refused"
    assert devices.asked == []


def test_a_host_that_has_answered_since_is_not_cut_off(lost: Bench) -> None:
    lost.ledger.note_return("h1", lost.clock.now())
    devices = Devices()

    assert fence(lost, devices).status == "refused"
    assert devices.asked == []


def test_a_host_that_a_human_vouches_for_is_not_cut_off_any_more(lost: Bench) -> None:
    human(lost)
    devices = Devices()

    assert fence(lost, devices).status == "done"
    assert devices.asked == []


def test_a_humans_proof_ends_an_attempt_under_way_and_stands(lost: Bench) -> None:
    outcome = fence(lost, Devices(lambda _: human(lost)))

    proof = lost.ledger.proof("h1")
    assert outcome.status == "done"
    assert proof is not None
    assert proof.kind == "human"
    assert [a.end for a in lost.ledger.attempts("h1")] == ["cancelled"]


def test_an_attempt_that_waits_for_its_device_hears_of_the_proof_at_once(lost: Bench) -> None:
    vouching = threading.Timer(0.05, human, (lost,))
    vouching.start()

    outcome = fence(lost, Devices(lambda stop: None if stop.wait(30.0) else pytest.fail("never told")))

    vouching.join()
    assert outcome.status == "done"


def told(bench: Bench) -> list[str]:
    """What the history says of the end of the fencing."""
    return [each.message for each in bench.ledger.events("Host/h1") if each.event.endswith(" done")]


def test_history_says_who_vouched_for_the_host_and_not_that_its_power_was_cut(lost: Bench) -> None:
    fence(lost, Devices(lambda _: human(lost)))
    fence(lost, Devices())

    vouched = "confirmed dead by ann: it is unplugged"
    assert told(lost) == [f"nothing was switched: {vouched}", f"called off: {vouched}"]


def test_history_says_what_the_device_said(lost: Bench) -> None:
    fence(lost, Devices())

    assert told(lost) == ["it says off"]


def test_hosts_that_go_bad_while_the_device_is_asked_keep_it_from_being_switched(lost: Bench) -> None:
    """What silences several hosts at once is more likely the network than their power."""
    devices = Devices(lambda _: lost.ledger.record_health(judged("h2", "suspect")))

    outcome = fence(lost, devices)

    assert (outcome.status, outcome.transient) == ("refused", True)
    assert "the controller reaches no host at all" in outcome.message
    assert devices.switched == []
    assert [a.end for a in lost.ledger.attempts("h1")] == ["cancelled"]


def test_a_host_that_people_hold_while_the_device_is_asked_is_not_switched_off(lost: Bench) -> None:
    devices = Devices(lambda _: lost.ledger.pause("Host/h1"))

    assert fence(lost, devices).status == "refused"
    assert devices.switched == []


def test_a_host_that_was_off_and_is_on_by_now_is_left_alone(lost: Bench) -> None:
    """Somebody had it switched off and on again: no grace was waited for, as its device said off."""
    devices = Devices()

    outcome = fence(lost, devices, replace(FENCE, is_off=True))

    assert outcome.status == "refused"
    assert "on after all" in outcome.message
    assert devices.switched == []


def test_a_host_that_was_off_and_is_still_off_is_proven_dead(lost: Bench) -> None:
    assert fence(lost, Devices(says_on=False), replace(FENCE, is_off=True)).status == "done"


def test_a_fencing_that_fails_again_and_again_is_tried_once_a_minute_at_least(lost: Bench) -> None:
    """Its VMs are down meanwhile."""

    def fail(_: threading.Event) -> None:
        raise FencingFailed("level 1: timed out")

    for _ in range(12):
        fence(lost, Devices(fail))

    failure = lost.ledger.failure(action(FENCE, "Host/h1", host=None).id)
    assert failure is not None
    assert failure.not_before - lost.clock.now() == FENCING_BACKOFF


def test_an_incident_that_ends_meanwhile_calls_the_attempt_off(lost: Bench) -> None:
    outcome = fence(lost, Devices(lambda _: lost.ledger.close_incident("h1", lost.clock.now())))

    assert outcome.status == "refused"
    assert lost.ledger.proof("h1") is None


def test_the_end_of_the_program_hands_the_attempt_back(lost: Bench) -> None:
    assert fence(lost, Devices(lambda _: lost.stop.set())).status == "handed-back"


def test_a_failure_of_all_levels_is_tried_again_after_a_while_and_proves_nothing(lost: Bench) -> None:
    def fail(_: threading.Event) -> None:
        raise FencingFailed("level 1: timed out")

    outcome = fence(lost, Devices(fail))

    assert (outcome.status, outcome.transient) == ("failed", True)
    assert lost.ledger.proof("h1") is None
    failure = lost.ledger.failure(action(FENCE, "Host/h1", host=None).id)
    assert failure is not None
    assert not failure.permanent


def test_an_attempt_that_a_killed_controller_left_open_does_not_hold_up_the_next(lost: Bench) -> None:
    lost.ledger.begin_attempt("h1", "i-1", 1, "fence_ipmilan", lost.clock.now())

    assert fence(lost, Devices()).status == "done"


def test_without_devices_nothing_is_proven(lost: Bench) -> None:
    outcome = lost.run_one(FENCE, "Host/h1", host=None)

    assert outcome.status == "failed"
    assert "fence confirm h1" in outcome.hint


# -- recovery ----------------------------------------------------------------------------------------------------------


def recover(bench: Bench) -> Outcome:
    """As a plan does that takes h1 for proven dead."""
    return bench.run_one(steps.DefineDomain(config("web", epoch=2), came_from="h1"), host="h2", dead=("h1",))


def start(bench: Bench, *, dead: tuple[str, ...] = ("h1",)) -> Outcome:
    return bench.run_one(steps.StartDomain("web", UUID), host="h2", dead=dead)


def test_without_a_proof_the_vm_is_not_defined_elsewhere(lost: Bench) -> None:
    outcome = recover(lost)

    assert outcome.status == "failed"
    assert lost.h2.domain_by_name("web") is None


def test_on_proof_the_vm_is_defined_elsewhere_and_starts(lost: Bench) -> None:
    human(lost)

    assert recover(lost).status == "done"
    assert start(lost).status == "done"


def test_a_dead_host_whose_connection_still_seems_open_is_given_a_moment_and_no_more(lost: Bench) -> None:
    """The controller may learn of the end of a connection seconds after the proof."""
    human(lost)
    lost.fleet.power_on("h1")
    lost.fleet.hang("h1")
    begun = lost.clock.monotonic()

    assert recover(lost).status == "done"
    assert lost.clock.monotonic() - begun < 1.0


def test_a_proof_of_a_host_that_has_answered_since_lets_nothing_be_defined_elsewhere(lost: Bench) -> None:
    human(lost)
    lost.ledger.note_return("h1", lost.clock.now())

    assert recover(lost).status == "failed"


def test_a_host_that_is_back_with_its_copy_is_asked_whatever_was_proven(lost: Bench) -> None:
    human(lost)
    lost.fleet.power_on("h1")
    lost.fleet.people("h1").start("web")

    assert recover(lost).status == "refused"


def test_another_host_out_of_reach_without_an_incident_holds_the_recovery_up(lost: Bench) -> None:
    human(lost)
    lost.desired = replace(lost.desired, hosts={**lost.desired.hosts, "h3": lost.desired.hosts["h2"]})
    lost.fleet.add_host("h3")
    lost.fleet.cut_network("h3")

    assert recover(lost).status == "failed"


def test_another_lost_host_does_not_hold_the_recovery_up(lost: Bench) -> None:
    human(lost)
    lost.desired = replace(lost.desired, hosts={**lost.desired.hosts, "h3": lost.desired.hosts["h2"]})
    lost.fleet.add_host("h3")
    lost.fleet.cut_network("h3")
    lost.ledger.open_incident(Incident("i-3", "h3", lost.clock.now(), None))

    assert recover(lost).status == "done"


def recovered_but_not_started(lost: Bench) -> None:
    """`web` is defined on h2 on proof; h1 is back since."""
    human(lost)
    assert recover(lost).status == "done"
    lost.fleet.power_on("h1")
    lost.h1.ping(1.0)


def test_a_host_that_is_back_and_runs_its_copy_keeps_the_new_one_from_being_started(lost: Bench) -> None:
    recovered_but_not_started(lost)
    lost.fleet.people("h1").start("web")

    outcome = start(lost)

    assert outcome.status == "refused"
    assert "runs on h1" in outcome.message


def test_a_host_that_is_back_with_a_copy_that_is_off_does_not(lost: Bench) -> None:
    recovered_but_not_started(lost)

    assert start(lost).status == "done"


def test_a_proof_that_the_plan_does_not_rest_on_lets_nothing_be_defined(lost: Bench) -> None:
    """It is of an earlier controller: the host may have been up since, and nobody has looked again."""
    human(lost)
    recovery = steps.DefineDomain(config("web", epoch=2), came_from="h1")

    assert lost.run_one(recovery, host="h2").status == "failed"
    assert lost.h2.domain_by_name("web") is None


def test_nor_lets_it_what_is_defined_be_started(lost: Bench) -> None:
    human(lost)
    recover(lost)

    assert start(lost, dead=()).status == "failed"
    assert lost.h2.domain_state(UUID) == "shutoff"


def test_a_host_that_answers_again_since_is_no_dead_host_whatever_the_plan_says(lost: Bench) -> None:
    human(lost)
    recover(lost)
    lost.ledger.note_return("h1", lost.clock.now())

    assert start(lost).status == "failed"


def test_an_old_copy_is_forced_off_without_waiting_for_its_guest(bench: Bench) -> None:
    bench.with_vm(running=True)
    bench.fleet.people("h1").deafen("web")
    before = bench.clock.monotonic()

    outcome = bench.run_one(steps.StopDomain("web", UUID, timeout=0.0, force=True))

    assert outcome.status == "done"
    assert bench.h1.domain_state(UUID) == "shutoff"
    assert bench.clock.monotonic() == before

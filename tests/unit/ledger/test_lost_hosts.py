"""The ledger of lost hosts: what proves that one is dead, and how soon that stops proving anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import PreconditionFailed
from reconciler.ledger.store import Ledger
from reconciler.model.health import FenceAttempt, FenceProof, FenceTest, HostHealth, Incident, Machine
from reconciler.model.ledger import LedgerView

INCIDENT = Incident("i1", "h1", opened=10.0, last_seen=4.0, suspect_at=6.0, unreachable_at=10.0)
PROOF = FenceProof("h1", "i1", "fenced", 12.0, "fence_ipmilan says off", "fence_ipmilan")
HEALTH = HostHealth("h1", "unreachable", "silent", "silent for 6 s", since=10.0, last_seen=4.0)
TEST = FenceTest("h1", 1.0, passed=True, devices="abc", message="status on")


def lost(path: Path) -> Ledger:
    ledger = Ledger(path)
    ledger.open_incident(INCIDENT)
    return ledger


def test_everything_of_a_lost_host_is_there_after_reopening(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        ledger.record_health(HEALTH)
        ledger.record_proof(PROOF)
        ledger.record_fence_test(TEST)
        ledger.record_machines(Machine("h1", "u1", "qemu+ssh://h1/system"))

    with Ledger.open_readonly(tmp_path) as ledger:
        assert ledger.view() == LedgerView(
            health={"h1": HEALTH},
            incidents={"h1": INCIDENT},
            proofs={"h1": PROOF},
            fence_tests={"h1": TEST},
            identities={"h1": "u1"},
            addresses={"h1": "qemu+ssh://h1/system"},
        )
        assert ledger.proof("h1") == PROOF
        assert ledger.incident("h1") == INCIDENT


def test_a_ledger_that_was_lost_proves_nothing(tmp_path: Path) -> None:
    with Ledger.open_readonly(tmp_path) as ledger:
        assert ledger.proof("h1") is None
        assert ledger.attempts("h1") == ()
        assert ledger.view().incidents == {}


@pytest.mark.parametrize("proof", [replace(PROOF, incident="i0"), replace(PROOF, host="h2")])
def test_a_proof_of_another_incident_or_host_is_refused(tmp_path: Path, proof: FenceProof) -> None:
    with lost(tmp_path) as ledger:
        with pytest.raises(PreconditionFailed):
            ledger.record_proof(proof)

        assert ledger.view().proofs == {}


def test_the_first_proof_stands(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        ledger.record_proof(PROOF)

        ledger.record_proof(replace(PROOF, kind="human", by="ann"))

        assert ledger.proof("h1") == PROOF


def test_a_proof_is_void_once_the_host_answers_again(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        ledger.record_proof(PROOF)

        ledger.note_return("h1", 20.0)
        ledger.note_return("h1", 30.0)

        assert ledger.proof("h1") is None
        assert ledger.view().proofs == {}
        assert ledger.view().incidents == {"h1": replace(INCIDENT, returned_at=20.0)}
        with pytest.raises(PreconditionFailed, match="answered again"):
            ledger.record_proof(PROOF)


def test_a_new_silence_begins_without_the_proof_of_the_last(tmp_path: Path) -> None:
    again = replace(INCIDENT, id="i2")
    with lost(tmp_path) as ledger:
        ledger.record_proof(PROOF)

        ledger.close_incident("h1", 20.0)
        ledger.open_incident(again)

        assert ledger.proof("h1") is None
        assert ledger.view().incidents == {"h1": again}
        with pytest.raises(PreconditionFailed, match="the open incident is i2"):
            ledger.record_proof(PROOF)


def test_a_host_has_one_open_incident(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        ledger.open_incident(INCIDENT)

        with pytest.raises(PreconditionFailed, match="i1 open already"):
            ledger.open_incident(replace(INCIDENT, id="i2"))

        assert ledger.incident("h1") == INCIDENT


def test_attempts_are_told_newest_first_and_as_they_ended(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        first = ledger.begin_attempt("h1", "i1", 1, "fence_ipmilan", 11.0)
        ledger.end_attempt(first, "timed-out", "no answer within 60 s", 12.0)
        second = ledger.begin_attempt("h1", "i1", 2, "fence_apc_snmp", 13.0)

        assert ledger.attempts("h1") == (
            FenceAttempt(second, "h1", "i1", 2, "fence_apc_snmp", 13.0),
            FenceAttempt(first, "h1", "i1", 1, "fence_ipmilan", 11.0, 12.0, "timed-out", "no answer within 60 s"),
        )
        assert len(ledger.attempts("h1", limit=1)) == 1


def test_what_a_dead_controller_left_open_is_cut_off_and_the_rest_stays(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        ended = ledger.begin_attempt("h1", "i1", 1, "fence_ipmilan", 11.0)
        ledger.end_attempt(ended, "confirmed", "off", 12.0)
        ledger.begin_attempt("h1", "i1", 1, "fence_ipmilan", 13.0)

    with Ledger(tmp_path) as ledger:
        assert ledger.cut_off_attempts(20.0) == 1
        assert ledger.cut_off_attempts(21.0) == 0
        assert [attempt.end for attempt in ledger.attempts("h1")] == ["cut-off", "confirmed"]


def test_a_host_that_left_the_specs_is_forgotten_and_the_others_are_not(tmp_path: Path) -> None:
    with lost(tmp_path) as ledger:
        ledger.record_health(HEALTH)
        ledger.record_machines(Machine("h1", "u1", "qemu+ssh://h1/system"), Machine("h2", "u2", ""))

        ledger.forget_hosts_except({"h2"})

        assert ledger.view().health == {}
        assert ledger.host_identities() == {"h2": "u2"}

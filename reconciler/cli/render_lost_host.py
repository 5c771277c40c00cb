"""What `why` tells of a host's health: the rule, the incident, the attempts to fence it, the proof, the last test."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cli.words import age, clock_time, moment, printable
from reconciler.ledger.records import LedgerEvent
from reconciler.model.health import FenceAttempt, FenceProof, FenceTest, HostHealth, Incident
from reconciler.planner.drain_status import NONE_THERE
from reconciler.planner.host_health import POWER_OFF


def health_lines(health: HostHealth, at: float, told: str) -> list[str]:
    """The verdict on record, by which rule, and since when; its sentence unless that was `told` already."""
    since = f"since {moment(health.since)} ({age(at - health.since)} ago)"
    verdict = f"{health.state} {since} · rule {health.rule}"
    return [verdict] if health.sentence == told else [verdict, printable(health.sentence)]


def incident_lines(incident: Incident | None) -> list[str]:
    """The open incident and its moments."""
    if incident is None:
        return []
    moments = (
        ("last seen", incident.last_seen),
        ("suspect", incident.suspect_at),
        ("unreachable", incident.unreachable_at),
        ("answered again", incident.returned_at),
    )
    told = " · ".join(f"{name} {clock_time(at)}" for name, at in moments if at is not None)
    return [f"{incident.id} open since {moment(incident.opened)}", told]


def proof_lines(
    proof: FenceProof | None, incident: Incident | None, health: HostHealth | None, *, emptied: bool = False
) -> list[str]:
    """Why its VMs may run elsewhere, or that they may not."""
    if proof is not None:
        return [f"{proof.kind} at {moment(proof.at)} by {printable(proof.by)}", printable(proof.evidence)]
    if incident is None:
        return []
    if health is not None and health.rule == POWER_OFF:
        return ["none yet: its device says off, and is asked once more before that counts"]
    return [f"none: {NONE_THERE if emptied else 'its VMs may still run there'}"]


def attempt_lines(attempts: Sequence[FenceAttempt]) -> list[str]:
    """Attempts to fence it, oldest first."""
    return [_attempt(attempt) for attempt in sorted(attempts, key=lambda attempt: attempt.id)]


def _attempt(attempt: FenceAttempt) -> str:
    took = "under way" if attempt.ended is None else f"{attempt.end} after {attempt.ended - attempt.began:.1f} s"
    message = f": {printable(attempt.message)}" if attempt.message else ""
    return f"{moment(attempt.began)}  level {attempt.level}  {attempt.agent}  {took}{message}"


def test_lines(test: FenceTest | None) -> list[str]:
    """The last test of its fence devices."""
    if test is None:
        return []
    return [f"{'passed' if test.passed else 'failed'} at {moment(test.at)}: {printable(test.message)}".rstrip(": ")]


def timeline_lines(timeline: Sequence[LedgerEvent]) -> list[str]:
    """One incident, each moment with the seconds since the last sign of life."""
    if not timeline:
        return []
    begun = timeline[0].at
    return [
        f"{clock_time(event.at)}  {f'+{event.at - begun:.1f} s':>9}  {event.event:<17} {event.host}".rstrip()
        for event in timeline
    ]

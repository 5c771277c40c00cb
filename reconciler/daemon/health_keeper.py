"""Judges every host once a pass, and writes down what came of it: health, incidents, timelines."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.daemon.host_watch import HostWatch
from reconciler.daemon.last_seen import newer
from reconciler.ledger import records
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.ledger.timeline import tell_vms
from reconciler.model.desired_state import DesiredState
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import HostHealth, HostSigns, HostState, Incident, Machine, Verdict
from reconciler.model.host import Host
from reconciler.model.inventory import Inventory
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import Policy
from reconciler.planner.brakes import brake
from reconciler.planner.host_health import (
    IDENTITY_CHANGED,
    OTHER_MACHINE_SILENT,
    Case,
    IncidentStep,
    incident_step,
    judge,
)
from reconciler.planner.host_identity import is_another_machine
from reconciler.planner.lost_hosts import is_clean

log = structlog.get_logger()

_EVENTS: Final[dict[HostState, str]] = {
    "suspect": records.HOST_SUSPECT,
    "unreachable": records.HOST_UNREACHABLE,
    "returning": records.HOST_RETURNED,
    "quarantined": records.HOST_QUARANTINED,
    "online": records.HOST_ONLINE,
}
"""What the history calls coming into a state; fencing and its proof are told by those who do it."""
_LOGGED: Final[dict[HostState, str]] = {
    "online": "host.online",
    "suspect": "host.suspect",
    "unreachable": "host.unreachable",
    "fencing": "host.fencing",
    "fenced": "host.fenced",
    "returning": "host.returning",
    "quarantined": "host.quarantined",
    "unknown": "host.unknown",
}
_NOT_NEWS: Final[frozenset[tuple[HostState, HostState]]] = frozenset({("unknown", "online")})
_ANOTHER: Final = (IDENTITY_CHANGED, OTHER_MACHINE_SILENT)
_STEPS: Final = 4
"""Steps that one judgement can take at the most: it returns, is lost anew, and so on."""


class HealthKeeper:
    """The one who judges; only a controller that watches has it."""

    def __init__(self, watch: HostWatch, ledger: Ledger, clock: Clock, policy: Policy) -> None:
        self._watch = watch
        self._ledger = ledger
        self._clock = clock
        self._policy = policy
        self._last = ledger.view()
        self._proven_before = frozenset(proof.incident for proof in self._last.proofs.values())
        """Incidents that an earlier controller had proven: the host may have been up since."""
        self._others_before = frozenset(name for name, health in self._last.health.items() if health.rule in _ANOTHER)
        """Hosts under whose name another machine was the last that an earlier controller saw."""
        self._answered_before: dict[str, float | None] = {}
        """By incident of ours: when (monotonic) its host had last answered when it was opened."""
        self._is_braked = False
        """Whether so many hosts were bad at once, when they were last judged, that nobody is fenced."""
        self._braked_until: float | None = None
        """When (monotonic) that was last so."""
        ledger.cut_off_attempts(clock.now())

    def follow(self, desired: DesiredState, in_flight: frozenset[str]) -> None:
        """Have the hosts of the specs watched; devices that are in use, or have said all, are not asked."""
        last = self._last
        fenced = {
            name for name, health in last.health.items() if health.state == "fenced" and self._is_ours(last, name)
        }
        busy = {name for name in desired.hosts if f"Host/{name}" in in_flight}
        armed = {name for name, host in desired.hosts.items() if _is_armed(last, host)}
        self._watch.follow(desired.hosts, unasked=fenced | busy, checked=armed)

    def silent(self) -> dict[str, str]:
        """Hosts that a pass need not wait for, and why."""
        return self._watch.silent()

    def note(
        self, desired: DesiredState, inventory: Inventory, view: LedgerView, in_flight: frozenset[str]
    ) -> LedgerView:
        """Judge every host by what is seen of it now; return the ledger as it is afterwards."""
        self._note_machines(desired, inventory, view)
        has_changed = self._forget_gone(desired, view)
        verdicts: list[HostHealth] = []
        for name, signs in self._watch.signs().items():
            if name in desired.hosts:
                hearing = _Hearing(desired.hosts[name], signs, inventory, view, f"Host/{name}" in in_flight)
                has_changed |= self._note_host(hearing, verdicts)
        if verdicts:
            self._ledger.record_health(*verdicts)
            has_changed = True
        judged = self._ledger.view() if has_changed else view
        unsettled = self._is_unsettled(desired, inventory, judged)
        self._last = replace(judged, quiet=self._watch.quiet, unsettled=unsettled)
        return self._last

    def _is_unsettled(self, desired: DesiredState, inventory: Inventory, view: LedgerView) -> bool:
        """Whether a brake held until less than the grace ago: hosts come back from a partition one after the other."""
        now, held = self._clock.monotonic(), self._is_braked
        self._is_braked = bool(brake(desired.hosts, view.health, inventory.hosts, self._policy.ha))
        if held or self._is_braked:
            self._braked_until = now
        return self._braked_until is not None and now - self._braked_until < self._policy.ha.probing.unreachable_after

    # -- one host --------------------------------------------------------------------------------------------------
    def _note_host(self, hearing: _Hearing, verdicts: list[HostHealth]) -> bool:
        """Judge, step by step, until nothing follows from it any more; return whether its incident moved."""
        has_changed = False
        case = self._case(hearing)
        verdict = judge(case)
        for _ in range(_STEPS):
            step = incident_step(
                case, verdict, answered_since=self._answered_since(case), clean=self._is_clean(hearing)
            )
            if step == "none":
                break
            case = self._take(step, case, hearing)
            verdict = judge(case)
            has_changed = True
        verdicts += self._news(hearing, verdict)
        return has_changed

    def _case(self, hearing: _Hearing) -> Case:
        name, view = hearing.host.name, hearing.view
        previous = view.health.get(name)
        return Case(
            signs=hearing.signs,
            previous=previous.state if previous is not None else None,
            incident=view.incidents.get(name),
            proof=view.proofs.get(name),
            policy=self._policy.ha,
            armed=_is_armed(view, hearing.host),
            fencing=hearing.fencing,
            proven_here=self._is_ours(view, name),
            has_moved=view.addresses.get(name, hearing.host.spec.uri) != hearing.host.spec.uri,
            was_another=name in self._others_before,
        )

    def _is_ours(self, view: LedgerView, host: str) -> bool:
        proof = view.proofs.get(host)
        return proof is not None and proof.incident not in self._proven_before

    def _answered_since(self, case: Case) -> bool:
        """Whether the host has answered since its incident was opened; an earlier controller's began before us."""
        at = case.signs.answered_at
        if case.incident is None or at is None:
            return False
        before = self._answered_before.get(case.incident.id)
        return before is None or at > before

    def _is_clean(self, hearing: _Hearing) -> bool:
        name = hearing.host.name
        observed = hearing.inventory.hosts.get(name)
        return observed is not None and is_clean(name, observed, hearing.view, self._policy.fleet)

    # -- incidents -------------------------------------------------------------------------------------------------
    def _take(self, step: IncidentStep, case: Case, hearing: _Hearing) -> Case:
        name, now = hearing.host.name, self._clock.now()
        if step == "return":
            self._ledger.note_return(name, now)
            incident = replace(case.incident, returned_at=now) if case.incident is not None else None
            return replace(case, incident=incident, proof=None)
        if step in ("close", "renew"):
            self._ledger.close_incident(name, now)
            self._answered_before.pop(case.incident.id if case.incident is not None else "", None)
        if step == "close":
            return replace(case, incident=None, proof=None)
        incident = self._opened(hearing, now)
        return replace(case, incident=incident, proof=None)

    def _opened(self, hearing: _Hearing, now: float) -> Incident:
        name, signs, before = hearing.host.name, hearing.signs, hearing.view.health.get(hearing.host.name)
        last_seen = hearing.last_seen(now)
        suspect_at = before.since if before is not None and before.state == "suspect" else now
        incident = Incident(_incident_id(name, now, signs), name, now, last_seen, suspect_at, now)
        self._ledger.open_incident(incident)
        self._answered_before[incident.id] = signs.answered_at
        times = (
            (records.HOST_LAST_SEEN, last_seen),
            (records.HOST_SUSPECT, suspect_at),
            (records.HOST_UNREACHABLE, now),
        )
        for event, at in times:
            if at is not None:
                tell_vms(self._ledger, LedgerEvent(at, "", f"Host/{name}", name, event, f"incident {incident.id}"))
        return incident

    # -- what is written -------------------------------------------------------------------------------------------
    def _news(self, hearing: _Hearing, verdict: Verdict) -> Iterator[HostHealth]:
        """The verdict as it is written down, if it is another than the last."""
        name, before, now = verdict.host, hearing.view.health.get(verdict.host), self._clock.now()
        if before is not None and (before.state, before.rule) == (verdict.state, verdict.rule):
            if verdict.state == "online":
                yield from newer(before, hearing.last_seen(now))
            return
        is_same_state = before is not None and before.state == verdict.state
        since = before.since if before is not None and is_same_state else now
        seen = hearing.last_seen(now)
        if before is not None and not is_same_state:
            self._tell(before.state, verdict, now, seen)
        yield HostHealth(name, verdict.state, verdict.rule, verdict.sentence, since, seen)

    def _tell(self, before: HostState, verdict: Verdict, now: float, last_seen: float | None) -> None:
        name, event = verdict.host, _EVENTS.get(verdict.state)
        log.log(
            logging.INFO if verdict.state in ("online", "returning") else logging.WARNING,
            _LOGGED[verdict.state],
            host=name,
            before=before,
            rule=verdict.rule,
            detail=verdict.sentence,
        )
        if event is None or (before, verdict.state) in _NOT_NEWS:
            return
        if before == "online" and last_seen is not None:
            seen = LedgerEvent(last_seen, "", f"Host/{name}", name, records.HOST_LAST_SEEN, "its last answer")
            self._ledger.record_event(seen)
        self._ledger.record_event(LedgerEvent(now, "", f"Host/{name}", name, event, verdict.sentence))

    def _note_machines(self, desired: DesiredState, inventory: Inventory, view: LedgerView) -> None:
        new: list[Machine] = []
        for name, observed in inventory.hosts.items():
            if name not in desired.hosts:
                continue
            is_other = is_another_machine(observed, view, self._policy.fleet)
            self._watch.note_identity(name, changed=is_other)
            found = Machine(name, observed.facts.uuid, desired.hosts[name].spec.uri)
            known = Machine(name, view.identities.get(name, ""), view.addresses.get(name, ""))
            if not is_other and found != known:
                new.append(found)
        if new:
            self._ledger.record_machines(*new)

    def _forget_gone(self, desired: DesiredState, view: LedgerView) -> bool:
        """Hosts that left the specs; those whose spec is unusable have not."""
        hosts = desired.hosts.keys() | {ref.name for ref in desired.unusable if ref.kind == "Host"}
        known = view.health.keys() | view.identities.keys() | view.fence_tests.keys() | view.incidents.keys()
        if not known - hosts or desired.removal_hold:
            return False
        for name in view.incidents.keys() - hosts:
            # Nobody looks at it any more: what was proven of it must not hold if it ever comes back.
            self._ledger.close_incident(name, self._clock.now())
        self._ledger.forget_hosts_except(hosts)
        return True


class _Hearing(Struct, frozen=True):
    """What one host is judged by in one pass."""

    host: Host
    signs: HostSigns
    inventory: Inventory
    view: LedgerView
    fencing: bool

    def last_seen(self, now: float) -> float | None:
        """Wall time of its last answer, as far as any controller knows."""
        if self.signs.silent is not None:
            return now - self.signs.silent
        before = self.view.health.get(self.host.name)
        return before.last_seen if before is not None else None


def _is_armed(view: LedgerView, host: Host) -> bool:
    """Whether the devices of `host` have passed their test as they are now."""
    test = view.fence_tests.get(host.name)
    return test is not None and test.passed and test.devices == devices_hash(host)


def note_those_that_answer(ledger: Ledger, inventory: Inventory, view: LedgerView, fleet: str, now: float) -> bool:
    """For a controller that does not watch: a lost host that was read is not dead; return whether there was one."""
    back = sorted(inventory.hosts.keys() & view.incidents.keys())
    for name in back:
        ledger.note_return(name, now)
        if is_clean(name, inventory.hosts[name], view, fleet):
            ledger.close_incident(name, now)
    return bool(back)


def _incident_id(host: str, now: float, signs: HostSigns) -> str:
    """Short and unique, and the same in every run of a simulation."""
    return hashlib.sha256(f"{host} {now!r} {signs.watched!r}".encode()).hexdigest()[:8]

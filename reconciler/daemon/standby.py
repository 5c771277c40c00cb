"""Standing by for the lead, again and again: whoever loses it stands by like the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from reconciler.clock import Clock
from reconciler.errors import LeadLost, LedgerConflict, StateError, StoreUnavailable, StoreWentBack
from reconciler.leadership.candidate import Candidate
from reconciler.leadership.keys import Leader
from reconciler.leadership.lead import Lead

log = structlog.get_logger()

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at whether the lead is free."""


class StandBy:
    """Stands for the lead; `rule` is called with each one that it gets, and returns once that is lost or given up.

    `tell` gets one sentence, for `systemctl status` and the like, whenever it looked; `meanwhile` is called whenever
    another one leads.
    """

    def __init__(
        self,
        candidate: Candidate,
        clock: Clock,
        rule: Callable[[Lead], None],
        tell: Callable[[str], None],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._candidate = candidate
        self._clock = clock
        self._rule = rule
        self._tell_service = tell
        self._meanwhile = meanwhile
        self._told = ""
        self._is_namesake_told = False

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; raises what `rule` does, unless the lead was lost or etcd is the matter."""
        while not stop.is_set():
            lead = self._stand()
            if lead is None:
                self._clock.wait(stop, LOOK_EVERY)
            else:
                self._lead(lead)

    def _stand(self) -> Lead | None:
        try:
            result = self._candidate.stand()
        except StateError as error:
            self._tell_service(f"standing by, nothing is changed: {error.message}")
            if error.message != self._told:
                self._told = error.message
                _log(error)
        else:
            if isinstance(result, Lead):
                return result
            self._tell_of(result)
            self._tell_of_namesake(result)
            self._meanwhile()
        return None

    def _lead(self, lead: Lead) -> None:
        self._told = ""
        log.info("lead.taken", controller=lead.leader.name, term=lead.leader.term)
        self._tell_service(f"leads, term {lead.leader.term}")
        try:
            self._rule(lead)
        except (LeadLost, LedgerConflict, StoreUnavailable, StoreWentBack) as error:
            log.warning("lead.ended", error=str(error))
        finally:
            why = lead.why_lost
            lead.give_up()
            if why:
                log.warning("lead.lost", term=lead.leader.term, why=why)
            else:
                log.info("lead.given_up", term=lead.leader.term)

    def _tell_of(self, leader: Leader) -> None:
        is_own = bool(leader.id) and leader.id == self._candidate.id
        own = f"standing by: this controller's own last lead (term {leader.term}) is to end"
        sentence = own if is_own else f"standing by: {leader} leads"
        self._tell_service(sentence)
        if sentence != self._told:
            self._told = sentence
            log.info("standby", leader="" if is_own else leader.name, term=leader.term, detail=sentence)

    def _tell_of_namesake(self, leader: Leader) -> None:
        """This one's own last lead, which is yet to end, has its id."""
        is_namesake = leader.name == self._candidate.name and leader.id not in {"", self._candidate.id}
        if is_namesake and not self._is_namesake_told:
            log.warning(
                "standby.namesake", leader=str(leader), detail="give each controller a ledger.etcd.name of its own"
            )
        self._is_namesake_told = is_namesake


def _log(error: StateError) -> None:
    match error:
        case StoreWentBack():
            log.error("etcd.went_back", error=str(error))
        case LedgerConflict():
            log.error("ledger.conflict", error=str(error))
        case StoreUnavailable():
            log.error("etcd.unavailable", error=str(error))
        case _:
            log.error("state.unusable", error=str(error))

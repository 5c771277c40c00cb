"""One log line for a pass that decided something new; silence for the many that find all as it was."""

from __future__ import annotations

import uuid

import structlog

from reconciler.daemon.view import View
from reconciler.model.desired_state import DesiredState, SpecProblem
from reconciler.model.next_command import ACCEPT_SPECS

log = structlog.get_logger()


def new_pass_id() -> str:
    """Short enough to read out, long enough not to meet again in a log."""
    return uuid.uuid4().hex[:8]


class PassLog:
    """Remembers what the last pass said, so that only changes are told."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] = ()
        self._unmet: frozenset[tuple[str, str]] = frozenset()
        self._problems: frozenset[SpecProblem] = frozenset()
        self._hold = self._doubt = ""

    def note(self, view: View, reasons: tuple[str, ...], *, seconds: float) -> None:
        """Log the pass if it decided otherwise than the one before, and each reason that came or went."""
        decided = (view.plan.fingerprint, view.plan.generation, view.plan.unseen)
        if decided != self._last:
            self._last = decided
            log.info(
                "pass.planned",
                generation=view.plan.generation,
                plan=view.plan.fingerprint,
                actions=len(view.plan.actions),
                unmet=len(view.plan.unmet),
                unseen=list(view.plan.unseen),
                because=list(reasons),
                seconds=round(seconds, 3),
            )
        self._note_specs(view.desired)
        self._note_unmet(view)

    def _note_specs(self, desired: DesiredState) -> None:
        problems = frozenset(problem for problem in desired.problems if problem.severity == "error")
        for problem in sorted(problems - self._problems):
            log.warning(
                "specs.problem",
                where=str(problem.where),
                code=problem.code,
                object=problem.target,
                field=problem.field,
                detail=problem.message,
            )
        if self._problems and not problems:
            log.info("specs.mended")
        if desired.doubt != self._doubt:
            log.warning("specs.doubted", detail=desired.doubt or "lifted", accept=ACCEPT_SPECS if desired.doubt else "")
        hold = "" if desired.doubt else desired.removal_hold
        if hold != self._hold:
            log.warning("specs.removal_hold", detail=hold or "lifted")
        self._problems, self._hold, self._doubt = problems, hold, desired.doubt

    def _note_unmet(self, view: View) -> None:
        now = {(str(unmet.target), unmet.reason): unmet for unmet in view.plan.unmet}
        for key in sorted(now.keys() - self._unmet):
            log.warning("spec.unmet", object=key[0], reason=key[1], host=now[key].host, detail=now[key].detail)
        still_unmet = {target for target, _ in now}
        for target, reason in sorted(self._unmet - now.keys()):
            if target not in still_unmet:
                log.info("spec.met", object=target, reason=reason)
        self._unmet = frozenset(now)

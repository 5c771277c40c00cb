"""What of the controller's doing goes into the timeline: what it did, what waits, which hosts it can't see."""

from __future__ import annotations

from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.ledger.records import LedgerEvent
from reconciler.simulator.timeline import Timeline


class Witness:
    """Notes changes only: what stays as it was is not told again."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._unmet: dict[tuple[str, str], str] = {}
        self._unseen: dict[str, str] = {}
        self._problems: frozenset[str] = frozenset()
        self._failed = ""

    def forget(self) -> None:
        """A new controller begins: all that it finds is told."""
        self._failed = ""

    def happened(self, event: LedgerEvent) -> None:
        """Something was written into the history; that an action began is told by its end."""
        if not event.event.endswith(" started"):
            self._timeline.note(event.event, event.target, event.host, event.message)

    def looked(self, view: View) -> None:
        """A pass saw the fleet and decided."""
        self._note_problems(view)
        self._note_hosts(view)
        unmet = {(str(item.target), item.reason): item for item in view.plan.unmet}
        for key, item in sorted(unmet.items()):
            if key not in self._unmet:
                self._timeline.note(f"unmet {item.reason}", key[0], item.host or "", item.detail)
        for target, reason in sorted(self._unmet.keys() - unmet.keys()):
            self._timeline.note(f"met {reason}", target)
        self._unmet = {key: item.detail for key, item in unmet.items()}

    def failed(self, error: ReconcilerError) -> None:
        """A pass could not decide."""
        if error.message != self._failed:
            self._failed = error.message
            self._timeline.note("pass failed", sentence=error.message)

    def _note_problems(self, view: View) -> None:
        found = {
            f"{problem.where}: {problem.message}" for problem in view.desired.problems if problem.severity == "error"
        }
        if view.desired.doubt:
            found.add(f"the fleet is only kept running: {view.desired.doubt}")
        elif view.desired.removal_hold:
            found.add(f"nothing is removed: {view.desired.removal_hold}")
        problems = frozenset(found)
        for text in sorted(problems - self._problems):
            self._timeline.note("specs problem", sentence=text)
        if self._problems and not problems:
            self._timeline.note("specs mended")
        self._problems = problems

    def _note_hosts(self, view: View) -> None:
        unseen = {name: host.error for name, host in view.inventory.unread.items()}
        for name in sorted(unseen.keys() - self._unseen.keys()):
            self._timeline.note("host unseen", f"Host/{name}", name, unseen[name])
        for name in sorted(self._unseen.keys() - unseen.keys()):
            if name in view.inventory.hosts:
                self._timeline.note("host seen", f"Host/{name}", name)
        self._unseen = unseen

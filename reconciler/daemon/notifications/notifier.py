"""Tells receivers what came to be the matter and what is over, beside the loop: no pass ever waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from reconciler.clock import Clock
from reconciler.daemon.notifications.matters import NO_PLAN, failed_pass, matters_of
from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.ledger.notices import NoticesLedger
from reconciler.model.notifications import Matter, Matters, Receiver, Tone, tone_of, wants
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action

log = structlog.get_logger()

Send = Callable[[Receiver, str, str, Tone], None]
"""Sends a title and a text; raises NotificationFailed. It takes as long as it takes, but no longer than a minute."""
_AGAIN: Final = (10.0, 30.0, 120.0, 600.0)
"""Seconds until a receiver that could not be told is tried again."""
_LINES: Final = 40
"""Lines of one message; the rest is a number."""


class Notifier:
    """Implements Onlooker. Of views that come faster than they can be told of, the newest counts."""

    def __init__(self, receivers: Sequence[Receiver], ledger: NoticesLedger, clock: Clock, send: Send) -> None:
        self._receivers = receivers
        self._ledger = ledger
        self._clock = clock
        self._send = send
        self._newest: Matters | None = None
        self._failures: dict[str, tuple[int, float]] = {}
        """By receiver: how often in a row it could not be told, and when (monotonic) to try again."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)

    def start(self) -> None:
        """Tell from now on, in a thread of its own."""
        self._ledger.forget_receivers_except(receiver.name for receiver in self._receivers)
        self._thread.start()

    def close(self) -> None:
        """Stop telling; what was not told is told after the next start, if it is still the matter."""
        self._over.set()
        self._wake.set()
        self._thread.join(timeout=2.0)

    # -- Onlooker --------------------------------------------------------------------------------------------------
    def turned(self) -> None:
        """No news."""

    def passed(self, pass_id: str, view: View, seconds: float) -> None:  # noqa: ARG002  as Onlooker has it
        self._put(matters_of(view))

    def pass_failed(self, pass_id: str, error: ReconcilerError) -> None:  # noqa: ARG002  as Onlooker has it
        known = self._newest or Matters(())
        others = tuple(matter for matter in known.now if matter.key != NO_PLAN)
        self._put(Matters((*others, failed_pass(error.message)), known.unsure, known.labels, is_partial=True))

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        """The next pass tells what came of it."""

    def led(self, term: int) -> None:
        """The next pass tells."""

    def stood_by(self, sentence: str) -> None:
        """Whoever leads tells."""

    def _put(self, matters: Matters) -> None:
        with self._lock:
            self._newest = matters
        self._wake.set()

    # -- telling ---------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._over.is_set():
            self._wake.wait(_AGAIN[0])
            self._wake.clear()
            if not self._over.is_set():
                self.tell()

    def tell(self) -> None:
        """Tell each receiver what it does not know yet, unless it failed just now."""
        with self._lock:
            matters = self._newest
        for receiver in self._receivers if matters is not None else ():
            count, not_before = self._failures.get(receiver.name, (0, 0.0))
            if count and self._clock.monotonic() < not_before:
                continue
            try:
                self._tell(receiver, matters or Matters(()))
                self._failures.pop(receiver.name, None)
            except ReconcilerError as error:
                pause = _AGAIN[min(count, len(_AGAIN) - 1)]
                self._failures[receiver.name] = (count + 1, self._clock.monotonic() + pause)
                log.warning("notification.failed", receiver=receiver.name, error=error.message, again_in=pause)
            except Exception:
                self._failures[receiver.name] = (count + 1, self._clock.monotonic() + _AGAIN[-1])
                log.exception("notification.failed", receiver=receiver.name)

    def _tell(self, receiver: Receiver, matters: Matters) -> None:
        told = self._ledger.notices(receiver.name)
        wanted = [each for each in matters.now if wants(receiver, each, matters.labels.get(each.object, {}))]
        # An object that left the specs, or that a rule leaves out now, is over too.
        gone = set[str]() if matters.is_partial else told.keys() - {each.key for each in wanted} - matters.unsure
        over = [told[key] for key in sorted(gone)]
        news = [each for each in wanted if each.key not in told or told[each.key].state != each.state]
        if news or (over and receiver.resolved):
            title, text = message(news, over if receiver.resolved else ())
            self._send(receiver, title, text, tone_of(news))
            log.info("notification.sent", receiver=receiver.name, news=len(news), over=len(over))
        if news or over:
            self._ledger.note_told(receiver.name, news, [each.key for each in over])


def message(news: Sequence[Matter], over: Sequence[Matter]) -> tuple[str, str]:
    """Title and text of one message about all of them."""
    lines = [f"{each.severity}: {each.title}{f' ({each.detail})' if each.detail else ''}" for each in news]
    lines += [f"resolved: {each.title}" for each in over]
    first = news[0].title if news else f"resolved: {over[0].title}"
    rest = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    left = [f"… and {len(lines) - _LINES} more: reconciler status"] if len(lines) > _LINES else []
    return f"{first}{rest}", "\n".join([*lines[:_LINES], *left])

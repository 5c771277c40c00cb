"""Who is told of what the daemon does: metrics, health, notifications. They look on, and decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from reconciler.daemon.view import View
from reconciler.errors import ReconcilerError
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action

log = structlog.get_logger()


class Onlooker(Protocol):
    """Told by the loop's thread, or those of its workers: returns at once, and never waits for anybody."""

    def turned(self) -> None:
        """The loop, or a standby's, goes round."""
        ...

    def passed(self, pass_id: str, view: View, seconds: float) -> None:
        """A pass decided."""
        ...

    def pass_failed(self, pass_id: str, error: ReconcilerError) -> None:
        """A pass could not decide."""
        ...

    def action_ended(self, action: Action, outcome: Outcome) -> None: ...

    def led(self, term: int) -> None:
        """This controller leads from now on; term 0 where it is the only one."""
        ...

    def stood_by(self, sentence: str) -> None:
        """Another controller leads, or nobody can be asked who does."""
        ...


class Onlookers:
    """Implements Onlooker for several; a mistake of ours in one of them stops neither the others nor the loop."""

    def __init__(self, *onlookers: Onlooker) -> None:
        self._all: Final = onlookers

    def turned(self) -> None:
        self._tell(lambda onlooker: onlooker.turned())

    def passed(self, pass_id: str, view: View, seconds: float) -> None:
        self._tell(lambda onlooker: onlooker.passed(pass_id, view, seconds))

    def pass_failed(self, pass_id: str, error: ReconcilerError) -> None:
        self._tell(lambda onlooker: onlooker.pass_failed(pass_id, error))

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        self._tell(lambda onlooker: onlooker.action_ended(action, outcome))

    def led(self, term: int) -> None:
        self._tell(lambda onlooker: onlooker.led(term))

    def stood_by(self, sentence: str) -> None:
        self._tell(lambda onlooker: onlooker.stood_by(sentence))

    def _tell(self, what: Callable[[Onlooker], None]) -> None:
        for onlooker in self._all:
            try:
                what(onlooker)
            except Exception:
                log.exception("onlooker.failed", onlooker=type(onlooker).__name__)

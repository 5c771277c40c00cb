"""Proving that a lost host is dead."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final

from msgspec import Struct

from reconciler.errors import FencingStopped, HostError, PreconditionFailed
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.ledger.records import FENCE_BEGAN, FENCE_PROOF, LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.model.health import AttemptEnd, FenceProof
from reconciler.model.steps import FenceHost
from reconciler.planner.brakes import brake
from reconciler.planner.world import is_held

_LAST_LOOK: Final = 0.2
"""Seconds that the host is given to show that it lives after all; it has been asked again and again before."""
_LOOK: Final = 0.2
"""Seconds between two looks into the ledger while a device is at work."""


def fence_host(step: FenceHost, context: ActionContext) -> str:
    """Killed at any point: an attempt without an end is on record, and the next one asks for the power first.

    A proof that somebody else records meanwhile ends the attempt at once, and with it the agent's process. Returns what
    became of it, for people: what was planned need not have been done.
    """
    before = _proof(step, context.ledger)
    if before is not None:
        return f"nothing was switched: {before.sentence}"
    _check_still_lost(step, context)
    attempts = _Attempts(step, context)
    _tell(context, FENCE_BEGAN, f"incident {step.incident}")
    stop = _CalledOff(step, context)
    try:
        proof = context.power.fence(context.desired.hosts[step.host], step.incident, attempts, stop)
    except FencingStopped as error:
        meanwhile = _proof(step, context.ledger)
        if meanwhile is not None:
            return f"called off: {meanwhile.sentence}"
        if context.stop.is_set():
            raise HandedBack from None
        raise _moved(step, error.message if _is_open(step, context.ledger) else "its incident is over") from None
    if _proof(step, context.ledger) is None:
        context.ledger.record_proof(proof)
        _tell(context, FENCE_PROOF, f"{proof.kind} by {proof.by}: {proof.evidence}")
    return proof.sentence


def _check_still_lost(step: FenceHost, context: ActionContext) -> None:
    """Raise PreconditionFailed if the host is not lost any more: none is cut off that could be talked to."""
    if step.host not in context.desired.hosts:
        raise _moved(step, "it is not in the specs any more")
    if not _is_open(step, context.ledger):
        raise _moved(step, "its incident is over")
    with suppress(HostError):
        context.host_named(step.host).ping(_LAST_LOOK)
        raise _moved(step, "it answers again")


def _check_may_be_cut(step: FenceHost, context: ActionContext) -> None:
    """Raise FencingStopped if what let the plan cut the power holds no more: devices take their time to answer."""
    if step.is_off:
        raise FencingStopped("its device says that it is on after all")
    ledger = context.ledger.view()
    if is_held(context.desired, ledger, context.action.target):
        raise FencingStopped("it is held by now")
    answering = [name for name, health in ledger.health.items() if health.state == "online"]
    held_back = brake(context.desired.hosts, ledger.health, answering, context.ha)
    if held_back:
        raise FencingStopped(held_back)


def _moved(step: FenceHost, why: str) -> PreconditionFailed:
    return PreconditionFailed(f"Host/{step.host} is not fenced: {why}", hint="plan again")


def _is_open(step: FenceHost, ledger: Ledger) -> bool:
    incident = ledger.incident(step.host)
    return incident is not None and incident.id == step.incident and incident.returned_at is None


def _proof(step: FenceHost, ledger: Ledger) -> FenceProof | None:
    proof = ledger.proof(step.host)
    return proof if proof is not None and proof.incident == step.incident else None


def _tell(context: ActionContext, event: str, message: str) -> None:
    target = str(context.action.target)
    now = context.clock.now()
    context.ledger.record_event(LedgerEvent(now, "", target, context.action.target.name, event, message))


class _Attempts(Struct, frozen=True):
    """Writes every try of a level into the ledger, before and after it."""

    step: FenceHost
    context: ActionContext

    def began(self, level: int, agent: str) -> int:
        now = self.context.clock.now()
        return self.context.ledger.begin_attempt(self.step.host, self.step.incident, level, agent, now)

    def ended(self, attempt: int, end: AttemptEnd, message: str) -> None:
        self.context.ledger.end_attempt(attempt, end, message, self.context.clock.now())

    def before_off(self) -> None:
        _check_may_be_cut(self.step, self.context)


class _CalledOff(threading.Event):
    """Set once the pass is to stop, a proof is on record, or the incident is over: whoever asks makes it look.

    The ledger tells nobody of what another process writes into it, so it is looked at; no thread is needed for that.
    """

    def __init__(self, step: FenceHost, context: ActionContext) -> None:
        super().__init__()
        self._step = step
        self._context = context

    def is_set(self) -> bool:
        if super().is_set():
            return True
        ledger = self._context.ledger
        over = self._context.stop.is_set() or _proof(self._step, ledger) is not None or not _is_open(self._step, ledger)
        if over:
            self.set()
        return over

    def wait(self, timeout: float | None = None) -> bool:
        left = float("inf") if timeout is None else timeout
        while not self.is_set() and left > 0:
            super().wait(min(left, _LOOK))
            left -= _LOOK
        return self.is_set()

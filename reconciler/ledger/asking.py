"""Commands beside a leader: they ask it, through etcd, to write into the ledger that only it writes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar, assert_never

import msgspec
import structlog
from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import LedgerError, PreconditionFailed, StoreUnavailable
from reconciler.leadership.keys import Keys
from reconciler.leadership.lead import Lead
from reconciler.leadership.store import Change, Guard, Item, Store
from reconciler.ledger.led_specs import LedSpecs
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import FLEET_TARGET, Ledger
from reconciler.model.health import FenceAttempt, FenceProof, FenceTest
from reconciler.model.ledger import LedgerView
from reconciler.model.mass_deletion import Deletion, fingerprint_of

T = TypeVar("T")
log = structlog.get_logger()

_PATIENCE: Final = 15.0
"""Seconds that a leader is given; it looks every second."""
_KEPT: Final = 60
"""Seconds after which a question that nobody answered is gone."""
_LOOK: Final = 0.2
LOOK_EVERY: Final = 1.0
"""Seconds between two looks of the leader for questions."""


class Pause(Struct, frozen=True, tag=True):
    """Hold all changes of a target."""

    target: str


class Resume(Struct, frozen=True, tag=True):
    """Let them go on."""

    target: str


class ClearFailure(Struct, frozen=True, tag=True):
    """Forget that an action failed."""

    key: str


class AcceptSpecs(Struct, frozen=True, tag=True):
    """Take the leader's specs, which are in doubt, for the right ones."""

    generation: str


class KeepTombstones(Struct, frozen=True, tag=True):
    """Keep what is kept of a VM until then; wall time in seconds."""

    vm: str
    until: float


class RequestCapture(Struct, frozen=True, tag=True):
    """Have a version made of an image; wall time in seconds."""

    image: str
    at: float


class CancelCapture(Struct, frozen=True, tag=True):
    """Have none made after all."""

    image: str


class PurgeTombstones(Struct, frozen=True, tag=True):
    """Give up what is kept of a VM."""

    vm: str


class AcceptDeletions(Struct, frozen=True, tag=True):
    """Let these go, though they are many."""

    deletions: tuple[Deletion, ...]


class RecordEvent(Struct, frozen=True, tag=True):
    """Add to the history."""

    event: LedgerEvent


class RecordProof(Struct, frozen=True, tag=True):
    """Take a host for dead."""

    proof: FenceProof


class RecordFenceTest(Struct, frozen=True, tag=True):
    """Remember the test of a host's devices."""

    test: FenceTest


class RequestRemoval(Struct, frozen=True, tag=True):
    """Have a version of an image deleted."""

    image: str
    stamp: str
    at: float


Question = (
    Pause
    | Resume
    | ClearFailure
    | AcceptSpecs
    | KeepTombstones
    | PurgeTombstones
    | AcceptDeletions
    | RequestCapture
    | CancelCapture
    | RecordEvent
    | RecordProof
    | RecordFenceTest
    | RequestRemoval
)


class _Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a request's key until it is answered."""

    question: Question
    lease: int
    asker: str
    """Account and machine."""


class _Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """And afterwards."""

    answer: bool | None = None
    refusal: str = ""
    hint: str = ""


def ask(question: Question, store: Store, keys: Keys, asker: str) -> tuple[str, int]:
    """Ask whoever leads, as `asker`; the key where the answer will be, and the lease with which it goes."""
    lease = store.grant(_KEPT)
    key = f"{keys.requests}{uuid.uuid4().hex}"
    text = msgspec.json.encode(_Asked(question, lease, asker)).decode()
    store.change(Guard(key, 0), [Change(key, text, lease)])
    return key, lease


def obey(question: Question, ledger: Ledger) -> bool | None:  # noqa: C901  one line a question
    """Write what was asked for; raises what the ledger raises. Asked twice, it is the same."""
    match question:
        case Pause(target):
            ledger.pause(target)
        case Resume(target):
            return ledger.resume(target)
        case ClearFailure(key):
            ledger.clear_failure(key)
        case AcceptSpecs(generation):
            ledger.accept_specs(generation)
        case KeepTombstones() | PurgeTombstones() | AcceptDeletions():
            _obey_about_deletions(question, ledger)
        case RequestCapture(image, at):
            ledger.request_capture(image, at)
        case CancelCapture(image):
            return ledger.cancel_capture(image)
        case RecordEvent(event):
            ledger.record_event(event)
        case RecordProof(proof):
            ledger.record_proof(proof)
        case RecordFenceTest(test):
            ledger.record_fence_test(test)
        case RequestRemoval(image, stamp, at):
            ledger.request_removal(image, stamp, at)
        case unknown:
            assert_never(unknown)
    return None


def _obey_about_deletions(question: KeepTombstones | PurgeTombstones | AcceptDeletions, ledger: Ledger) -> None:
    match question:
        case KeepTombstones(vm, until):
            ledger.keep_tombstones(vm, until)
        case PurgeTombstones(vm):
            ledger.purge_tombstones(vm)
        case AcceptDeletions(deletions):
            ledger.accept_deletions(deletions)


def _object_of(question: Question) -> str:  # noqa: PLR0911  one line a kind of object
    """What it is about, for people."""
    match question:
        case (
            Pause(named)
            | Resume(named)
            | ClearFailure(named)
            | AcceptSpecs(named)
            | KeepTombstones(named)
            | PurgeTombstones(named)
        ):
            return named
        case AcceptDeletions(deletions):
            return fingerprint_of(deletions)
        case RequestCapture(image) | CancelCapture(image):
            return f"Image/{image}"
        case RecordEvent(event):
            return event.target
        case RecordProof(proof):
            return f"Host/{proof.host}"
        case RecordFenceTest(test):
            return f"Host/{test.host}"
        case RequestRemoval(image):
            return f"Image/{image}"
        case unknown:
            assert_never(unknown)


class Responder:
    """The leader's side: `poll` answers what was asked since."""

    def __init__(self, ledger: Ledger, lead: Lead, store: Store, keys: Keys, notify: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._lead = lead
        self._store = store
        self._keys = keys
        self._notify = notify

    def poll(self) -> float:
        """Seconds until the next look."""
        try:
            asked = [(item, question) for item in self._questions() if (question := _read(item, _Asked)) is not None]
            for item, question in asked:
                self._answer(item, question)
        except LedgerError as error:
            # Who asked is told nothing, and says so; whether this one still leads is looked after elsewhere.
            log.warning("request.unanswered", error=error.message)
        else:
            if asked:
                self._notify("command")
        return LOOK_EVERY

    def _questions(self) -> Iterable[Item]:
        return self._store.read(self._keys.requests).items

    def _answer(self, item: Item, asked: _Asked) -> None:
        of = _object_of(asked.question)
        log.info("request.taken", question=type(asked.question).__name__, object=of, asker=asked.asker)
        try:
            answer = _Answer(obey(asked.question, self._ledger))
            self._ledger.flush()
        except PreconditionFailed as error:
            answer = _Answer(refusal=error.message, hint=error.hint)
        self._lead.change([Change(item.key, msgspec.json.encode(answer).decode(), asked.lease)])


class AskingLedger:
    """What a command beside a leader takes for the ledger: it reads etcd, and asks the leader to write."""

    def __init__(self, ledger: Ledger, leader: str, store: Store, keys: Keys, clock: Clock, asker: str) -> None:
        self._ledger = ledger
        self._leader = leader
        self._asker = asker
        self._store = store
        self._keys = keys
        self._clock = clock

    def view(self) -> LedgerView:
        self._ledger.refresh()
        return self._ledger.view()

    def events(self, target: str | None = None, limit: int = 50) -> tuple[LedgerEvent, ...]:
        return self._ledger.events(target, limit)

    def attempts(self, host: str, limit: int = 20) -> tuple[FenceAttempt, ...]:
        return self._ledger.attempts(host, limit)

    def pause(self, target: str = FLEET_TARGET) -> None:
        self._ask(Pause(target))

    def resume(self, target: str = FLEET_TARGET) -> bool:
        return bool(self._ask(Resume(target)))

    def clear_failure(self, key: str) -> None:
        self._ask(ClearFailure(key))

    def led_specs(self) -> LedSpecs | None:
        self._ledger.refresh()
        return self._ledger.led_specs()

    def accept_specs(self, generation: str) -> None:
        self._ask(AcceptSpecs(generation))

    def keep_tombstones(self, vm: str, until: float) -> int:
        self._ask(KeepTombstones(vm, until))
        return sum(stone.vm == vm for stone in self.view().tombstones)

    def request_capture(self, image: str, at: float) -> None:
        self._ask(RequestCapture(image, at))

    def cancel_capture(self, image: str) -> bool:
        return bool(self._ask(CancelCapture(image)))

    def purge_tombstones(self, vm: str) -> int:
        self._ask(PurgeTombstones(vm))
        return sum(stone.vm == vm for stone in self.view().tombstones)

    def request_removal(self, image: str, stamp: str, at: float) -> None:
        self._ask(RequestRemoval(image, stamp, at))

    def accept_deletions(self, deletions: Iterable[Deletion]) -> None:
        self._ask(AcceptDeletions(tuple(deletions)))

    def record_event(self, event: LedgerEvent) -> None:
        self._ask(RecordEvent(event))

    def record_proof(self, proof: FenceProof) -> None:
        self._ask(RecordProof(proof))

    def record_fence_test(self, test: FenceTest) -> None:
        self._ask(RecordFenceTest(test))

    def _ask(self, question: Question) -> bool | None:
        """Raises PreconditionFailed where the leader refuses, LedgerError where it does not answer."""
        key, lease = ask(question, self._store, self._keys, self._asker)
        try:
            answer = self._answer_to(key)
        finally:
            # It ends by itself; an answer that has come stands, whatever becomes of etcd now.
            with suppress(StoreUnavailable):
                self._store.revoke(lease)
        if answer is None:
            raise LedgerError(
                f"{self._leader} leads, and has not answered within {_PATIENCE:g} s: whether it will write this down is"
                " not known",
                hint="look: reconciler leader; then do it again, which harms nothing",
            )
        if answer.refusal:
            raise PreconditionFailed(answer.refusal, hint=answer.hint)
        return answer.answer

    def _answer_to(self, key: str) -> _Answer | None:
        """None where the leader does not answer in time."""
        never = threading.Event()
        deadline = self._clock.monotonic() + _PATIENCE
        while self._clock.monotonic() < deadline:
            for item in self._store.read(key).items:
                answer = _read(item, _Answer)
                if answer is not None:
                    return answer
            self._clock.wait(never, _LOOK)
        return None


def _read(item: Item, kind: type[T]) -> T | None:
    """None for a question where an answer is looked for, and the other way round; and for what others wrote."""
    try:
        return msgspec.json.decode(item.value, type=kind)
    except msgspec.MsgspecError:
        return None

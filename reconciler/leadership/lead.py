"""The lead, while it is held: a deadline on the monotonic clock, and changes of etcd that only a leader can make."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from reconciler.clock import Clock
from reconciler.errors import LeadLost, LedgerError, StateError, StoreUnavailable
from reconciler.leadership.keys import Keys, Leader, leader_text
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.store import CHANGES_AT_ONCE, Change, Guard, Position, Store

MARGIN: Final = 0.1
"""Share of the lease that is not used: clocks differ a little in speed, and a call takes its time to reach a host."""
_RENEWALS: Final = 4
"""A lease; so a few may fail."""
_TRY_AGAIN: Final = 0.5
_NOTHING_LEFT: Final = 60.0
"""Seconds until it is to be looked at again once it is lost: nothing becomes of it any more."""


class Lead:
    """Held until its deadline passes unrenewed, etcd says otherwise, or it is given up; never again after that.

    Safe to use from several threads. All times are those of `clock`, whose monotonic time must go on while the machine
    sleeps.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        leader: Leader,
        position: SeenPosition,
        clock: Clock,
        *,
        lease: int,
        seconds: float,
        asked_at: float,
    ) -> None:
        self.leader = leader
        self._store = store
        self._keys = keys
        self._position = position
        self._clock = clock
        self._lease = lease
        self._seconds = seconds
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._key_changed: int | None = leader.term
        """The last change of the leader key; None where that is not known."""
        self._deadline = _until(asked_at, seconds)
        self._renewed = asked_at
        self._why_lost = ""
        self._on_loss: list[Callable[[str], None]] = []

    @property
    def deadline(self) -> float:
        """Monotonic time after which nothing may be changed, as far as is known now."""
        return self._deadline

    @property
    def why_lost(self) -> str:
        """Empty while it is held."""
        return self._why_lost

    def on_loss(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called once, from any thread, with the reason; several are called in order."""
        self._on_loss.append(callback)

    def check(self) -> None:
        """To be asked just before anything is changed; raises LeadLost."""
        if not self._why_lost and self._clock.monotonic() >= self._deadline:
            self._lose(f"etcd at {self._store.name} has not confirmed it in time")
        if self._why_lost:
            raise LeadLost(
                f"{self.leader.name} does not lead any more (term {self.leader.term}): {self._why_lost}",
                hint="nothing was changed; reconciler leader tells who leads",
            )

    def poll(self) -> float:
        """Renew it where that is due; seconds until it is to be called again."""
        now = self._clock.monotonic()
        due = self._renewed + self._seconds / _RENEWALS
        if not self._why_lost and now >= due:
            with suppress(StateError):  # its deadline tells how long that may go on
                self.renew()
                return self._seconds / _RENEWALS
            due = now + _TRY_AGAIN
        try:
            self.check()
        except LeadLost:
            return _NOTHING_LEFT
        return max(0.0, min(due, self._deadline) - now)

    def renew(self) -> None:
        """Have etcd confirm the lead; raises LeadLost, StoreWentBack, or StoreUnavailable where it may try again."""
        self.check()
        asked_at = self._clock.monotonic()
        before = self._position.newest()
        seconds = self._store.keep_alive(self._lease)
        if not seconds:
            self._lose("its lease has ended")
            self.check()
        # A lease says nothing about the key: somebody may have removed that, or put etcd back.
        self._own_key(before)
        self.check()  # an answer that came too late is none
        with self._lock:
            self._deadline = max(self._deadline, _until(asked_at, seconds))
            self._renewed = asked_at

    def change(self, changes: Sequence[Change]) -> None:
        """Change etcd, which refuses who does not lead; more than etcd takes at once go one part after the other.

        Raises LeadLost, StoreWentBack, or StoreUnavailable: whether it was changed is not known then.
        """
        with self._writing:
            for start in range(0, len(changes), CHANGES_AT_ONCE):
                while not self._changed(changes[start : start + CHANGES_AT_ONCE]):
                    self.check()

    def _changed(self, changes: Sequence[Change]) -> bool:
        """Whether etcd took it. It does where the leader key is as this one left it: each change changes that too.

        So a change that was on its way for long, and was sent again meanwhile, can't undo what came after it.
        """
        self.check()
        before = self._position.newest()
        guard = Guard(self._keys.leader, self._own_key(before) if self._key_changed is None else self._key_changed)
        self._key_changed = None
        key = Change(self._keys.leader, leader_text(self.leader), self._lease)
        written = self._store.change(guard, [*changes, key])
        self._advance(written.position, before)
        if written.held:
            self._key_changed = written.position.revision
        else:
            self._own_key(before)
        self.check()  # who has waited too long for the answer must not act on it
        return written.held

    def _own_key(self, before: Position | None) -> int:
        """The last change of the leader key, which is to be this one's still; raises LeadLost."""
        reading = self._store.read(self._keys.leader)
        self._advance(reading.position, before)
        for item in reading.items:
            if item.key == self._keys.leader and item.created == self.leader.term:
                return item.changed
        self._lose("another controller leads by now, or its key in etcd was removed")
        self.check()
        return 0

    def give_up(self) -> None:
        """Let another one lead at once."""
        was_held = not self._why_lost
        with self._lock:
            self._why_lost = self._why_lost or "it was given up"
        if was_held:
            with suppress(StoreUnavailable):
                self._store.revoke(self._lease)

    def _advance(self, now: Position, before: Position | None) -> None:
        try:
            self._position.advance(now, before)
        except LedgerError as error:
            self._lose(error.message)
            raise

    def _lose(self, why: str) -> None:
        with self._lock:
            if self._why_lost:
                return
            self._why_lost = why
        for callback in self._on_loss:
            callback(why)


def _until(asked_at: float, seconds: float) -> float:
    """When to stop, reckoned from before the question was sent: the lease was counted from later."""
    return asked_at + seconds * (1 - MARGIN)

"""Standing for the lead: one controller gets it, the others learn who has it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct
from msgspec.structs import replace

from reconciler.clock import Clock
from reconciler.errors import ControllerRunning, StoreUnavailable
from reconciler.leadership.keys import Keys, Leader, leader_text, read_leader
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.store import Change, Guard, Store


class Candidate(Struct, frozen=True):
    """One controller; `clock` is that of Lead."""

    name: str
    command: str
    """The command that wants to lead, such as `run`."""
    store: Store
    keys: Keys
    position: SeenPosition
    clock: Clock
    lease_seconds: int
    fit: Callable[[], None] = lambda: None
    """Asked before each attempt: raises StateError for one that must not lead, and not act."""
    id: str = ""
    """Of the state directory."""

    def stand(self) -> Lead | Leader:
        """The lead, or who has it.

        Raises StoreUnavailable, StoreWentBack where nothing of etcd is believed, StateError, and what `fit` raises.
        """
        self.fit()
        leader = self._leader()
        if leader is not None:
            return leader
        asked_at = self.clock.monotonic()
        lease = self.store.grant(self.lease_seconds)
        try:
            lead = self._take(lease, asked_at)
        except BaseException:
            # Whether the key is there is not known: it must not stay, as nobody would keep it.
            with suppress(StoreUnavailable):
                self.store.revoke(lease)
            raise
        if lead is None:
            self.store.revoke(lease)
            return self._leader() or replace(self._me(), name="another controller")
        return lead

    @contextmanager
    def leading(self) -> Iterator[Lead]:
        """The lead, at once, given up at the end; raises ControllerRunning where another one has it, and as `stand`."""
        lead = self.take()
        try:
            yield lead
        finally:
            lead.give_up()

    def take(self) -> Lead:
        """As `leading`, for who gives it up by itself."""
        result = self.stand()
        if isinstance(result, Leader):
            raise ControllerRunning(
                f"{result} leads fleet {self.keys.fleet}",
                hint="let it finish or stop it first; plan, status and why work beside it",
            )
        return result

    def _leader(self) -> Leader | None:
        before = self.position.newest()
        reading = self.store.read(self.keys.leader)
        self.position.advance(reading.position, before)
        return next((read_leader(item.value, item.created) for item in reading.items), None)

    def _take(self, lease: int, asked_at: float) -> Lead | None:
        me = self._me()
        before = self.position.newest()
        taken = self.store.change(Guard(self.keys.leader, 0), [Change(self.keys.leader, leader_text(me), lease)])
        self.position.advance(taken.position, before)
        if not taken.held:
            return None
        return Lead(
            self.store,
            self.keys,
            replace(me, term=taken.position.revision),
            self.position,
            self.clock,
            lease=lease,
            seconds=self.lease_seconds,
            asked_at=asked_at,
        )

    def _me(self) -> Leader:
        return Leader(self.name, os.getpid(), self.clock.now(), self.command, id=self.id)


def leader_of(store: Store, keys: Keys) -> Leader | None:
    """Who leads now; raises StoreUnavailable."""
    reading = store.read(keys.leader)
    return next((read_leader(item.value, item.created) for item in reading.items), None)


def accept_store(store: Store, keys: Keys, position: SeenPosition) -> None:
    """Believe etcd as it is now, by a human's word; raises StoreUnavailable, StateError."""
    position.accept(store.read(keys.leader).position)

"""Who stands by: a key each, which goes with its lease, so whoever is listed was alive some seconds ago."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import StoreUnavailable
from reconciler.leadership.keys import Keys
from reconciler.leadership.store import Change, Guard, Store

_LEASE: Final = 30
"""Seconds that one which died is listed at the most."""
_RENEW_EVERY: Final = 10.0


class Standby(Struct, frozen=True):
    """One of them, as it tells itself."""

    name: str
    """Of the controller."""
    id: str
    """Of its state directory: two of one name differ in that."""
    host: str
    """Its machine."""
    pid: int
    since: float
    """Wall time in seconds."""
    generation: str = ""
    """Of its own specs."""

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        specs = f", specs {self.generation[:20]}" if self.generation else ""
        return f"{self.name} on {self.host} (pid {self.pid}, since {since}{specs})"


class Presence:
    """Keeps the key of one that stands by. Nothing depends on it, so what etcd does not take is tried again later."""

    def __init__(self, store: Store, keys: Keys, clock: Clock, me: Callable[[], Standby]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._me = me
        self._lease = 0
        self._told: Standby | None = None
        self._next = 0.0

    def keep(self) -> None:
        """Called again and again while it stands by."""
        now, me = self._clock.monotonic(), self._me()
        if now < self._next and me == self._told:
            return
        with suppress(StoreUnavailable):
            if me != self._told or not self._store.keep_alive(self._lease):
                self._begin(me)
        self._next = now + _RENEW_EVERY

    def _begin(self, me: Standby) -> None:
        self.close()
        self._lease = self._store.grant(_LEASE)
        key = f"{self._keys.standbys}{self._lease}"
        self._store.change(Guard(key, 0), [Change(key, msgspec.json.encode(me).decode(), self._lease)])
        self._told = me

    def close(self) -> None:
        """It stands by no more."""
        lease, self._lease, self._told, self._next = self._lease, 0, None, 0.0
        if lease:
            with suppress(StoreUnavailable):
                self._store.revoke(lease)


def standbys_of(store: Store, keys: Keys) -> tuple[Standby, ...]:
    """All that are alive, by name; raises StoreUnavailable."""
    found = []
    for item in store.read(keys.standbys).items:
        with suppress(msgspec.MsgspecError):  # of another version
            found.append(msgspec.json.decode(item.value, type=Standby))
    return tuple(sorted(found, key=lambda each: (each.name, each.since)))

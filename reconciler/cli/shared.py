"""The ledger that controllers share, as commands see it; imported only where the configuration names an etcd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from reconciler.config import Settings
from reconciler.daemon.shared_ledger import SharedLedger, shared_ledger
from reconciler.errors import StoreUnavailable
from reconciler.leadership.candidate import leader_of
from reconciler.leadership.keys import Leader
from reconciler.leadership.standbys import Standby, standbys_of
from reconciler.ledger.asking import AskingLedger
from reconciler.ledger.store import Ledger


class Sharing(Struct, frozen=True):
    """Who shares the ledger, and what is wrong with that."""

    leader: Leader | None
    """By the word of etcd; one that stands by itself is so no more, and its lease is yet to end."""
    standbys: tuple[Standby, ...]
    doubts: tuple[str, ...]
    """Why etcd is not to be relied on from this machine."""
    difference: str
    """Of the specs of this machine from those of the leader."""

    @property
    def is_over(self) -> bool:
        """Whether nobody leads, as the leader lost it."""
        return self.leader is not None and self.leader.id in {each.id for each in self.standbys}

    @property
    def namesakes(self) -> tuple[str, ...]:
        """Names that more than one of them has: people could not tell them apart."""
        ids = {(each.name, each.id) for each in self.standbys}
        if self.leader is not None and self.leader.id:
            ids.add((self.leader.name, self.leader.id))
        return tuple(sorted(name for name, number in Counter(name for name, _ in ids).items() if number > 1))


def look(shared: SharedLedger) -> Sharing:
    """Ask etcd; raises StoreUnavailable."""
    leader, standbys = leader_of(shared.store, shared.keys), standbys_of(shared.store, shared.keys)
    return Sharing(leader, standbys, shared.problems(), shared.difference_of_specs())


def answers(settings: Settings) -> bool:
    """Whether there is an etcd to ask."""
    with shared_ledger(settings) as shared:
        try:
            leader_of(shared.store, shared.keys)
        except StoreUnavailable:
            return False
    return True


@contextmanager
def ledger_of(settings: Settings, *, readonly: bool) -> Iterator[Ledger | AskingLedger]:
    """The shared ledger: to look at, or to have its leader write; raises StoreUnavailable, LedgerError."""
    with shared_ledger(settings) as shared:
        if readonly:
            with shared.copy() as copy:
                yield copy
        else:
            with shared.for_writing("command") as ledger:
                yield ledger

"""The small port to etcd: what a leader needs of it, the same for etcd and for the simulated one.

Every method blocks for a few seconds at the most and raises StoreUnavailable where no member answers: whether a change
was applied is not known then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct


class Position(Struct, frozen=True):
    """Where a store's history is: it only ever grows, unless the store was put back."""

    cluster: str
    """Id of the cluster."""
    revision: int
    """Of its last change."""


class Item(Struct, frozen=True):
    """One key with its value, the revision that made the key, and that of its last change."""

    key: str
    value: str
    created: int
    changed: int


class Reading(Struct, frozen=True):
    """What is below a prefix, by key, as of one instant."""

    position: Position
    items: tuple[Item, ...] = ()


class Guard(Struct, frozen=True):
    """A condition of a change: this revision was the key's last change; 0 says that there is no such key."""

    key: str
    changed: int


class Change(Struct, frozen=True):
    """A key's new value, None for none; with a `lease` it goes when that ends."""

    key: str
    value: str | None
    lease: int = 0


class Written(Struct, frozen=True):
    """Whether the guard held and everything was changed, or nothing was."""

    held: bool
    position: Position


class Store(Protocol):
    """Keys and values that a majority of members agree on."""

    @property
    def name(self) -> str:
        """The endpoints, for people."""
        ...

    def read(self, prefix: str) -> Reading:
        """Everything whose key begins with `prefix`; never older than any change that was confirmed before."""
        ...

    def change(self, guard: Guard, changes: Sequence[Change]) -> Written:
        """All of `changes`, at most CHANGES_AT_ONCE, if the guard holds."""
        ...

    def grant(self, seconds: int) -> int:
        """A lease that ends after `seconds` unless it is kept alive; its id."""
        ...

    def keep_alive(self, lease: int) -> float:
        """Seconds for which the lease goes on, from when this was asked at the latest; 0 for one that has ended."""
        ...

    def revoke(self, lease: int) -> None:
        """End a lease; one that has ended is fine."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


CHANGES_AT_ONCE: Final = 100
"""etcd takes 128 by default."""

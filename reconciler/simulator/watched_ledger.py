"""The real ledger, with its writes told, failed or cut off where a scenario asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from reconciler.errors import LedgerError
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.replica import Mirror
from reconciler.ledger.store import Ledger


def _nothing(_: object) -> None:
    """Nobody listens."""


class LedgerWitness(Struct):
    """Who is told what a ledger does, and what is wrong with its disk."""

    on_event: Callable[[LedgerEvent], None] = _nothing
    on_write: Callable[[str], None] = _nothing
    """Called `before` and `after` each transaction that acting depends on; may raise SimulatedCrashError."""
    full: bool = False
    """Whether its file system has no space left."""


class WatchedLedger(Ledger):
    """A ledger in a simulation. A kill loses nothing that the kernel has, so it never waits for a disk."""

    def __init__(self, state_dir: Path, witness: LedgerWitness, mirror: Mirror | None = None) -> None:
        self._witness = witness
        super().__init__(state_dir, mirror=mirror)

    def record_event(self, event: LedgerEvent) -> None:
        super().record_event(event)
        self._witness.on_event(event)

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[Any]:
        if durable:
            self._witness.on_write("before")
        if self._witness.full:
            raise LedgerError("ledger: no space is left for it", hint="make room; nothing is done without a ledger")
        # With a mirror it is for that to say what may wait.
        with super()._writing(durable=durable and self._mirror is not None) as connection:
            yield connection
        if durable:
            self._witness.on_write("after")

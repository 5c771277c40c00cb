"""How hosts are read side by side: a thread each, or in a simulation one after the other in its own time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from msgspec import Struct

from reconciler.errors import HostError
from reconciler.model.inventory import HostInventory


class Reading(Struct, frozen=True):
    """What came of reading one host, in how many seconds, and when it ended (monotonic)."""

    host: str
    result: HostInventory | HostError
    seconds: float
    at: float
    touches: int
    """How often the host had been touched when the reading began."""


class Answers(Protocol):
    """Readings as they come in."""

    def put(self, item: Reading) -> None: ...
    def get(self, *, timeout: float) -> Reading:
        """The next one; raises queue.Empty after `timeout` seconds."""
        ...


class Readers(Protocol):
    """Who reads."""

    def answers(self) -> Answers:
        """Where the readings of one round are put."""
        ...

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Have `work` done, under a name, without waiting for its end."""
        ...


class Threads:
    """Readers that are a thread each."""

    def answers(self) -> Answers:
        return SimpleQueue()

    def start(self, name: str, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

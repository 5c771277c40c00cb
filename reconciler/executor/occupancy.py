"""Which slots are held now, by any pass: an upload of an earlier pass and a later one share hosts and pools."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from reconciler.executor.slots import Slot


class Occupancy:
    """Slots held by all passes of one executor; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._listeners: list[Callable[[], None]] = []

    def take(self, slots: Sequence[Slot]) -> Slot | None:
        """Take all of `slots`, or none of them; return the first that is full, None if they were taken."""
        with self._lock:
            full = next((slot for slot in slots if self._held[slot.name] >= slot.capacity), None)
            if full is None:
                self._held.update(slot.name for slot in slots)
            return full

    def release(self, slots: Sequence[Slot]) -> None:
        """Give `slots` back, and have every pass look again."""
        with self._lock:
            self._held.subtract(slot.name for slot in slots)
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def has_room(self, slot: Slot) -> bool:
        with self._lock:
            return self._held[slot.name] < slot.capacity

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have `listener` called, from any thread, whenever slots were given back."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

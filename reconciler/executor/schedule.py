"""Which actions may start now: plan order, predecessors, free slots. No threads, no time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from reconciler.executor.occupancy import Occupancy
from reconciler.executor.slots import Slot
from reconciler.model.plan import Action


class Schedule:
    """Hands out actions; the caller says when each is finished. Not thread-safe: one dispatcher owns it.

    An action that finds a slot full is parked there and looked at again only when that slot frees, so that a plan of
    ten thousand actions costs no more per action than one of ten.
    """

    def __init__(
        self, actions: Sequence[Action], slots_of: Callable[[Action], tuple[Slot, ...]], occupancy: Occupancy
    ) -> None:
        self._occupancy = occupancy
        self._actions = actions
        self._slots = [slots_of(action) for action in actions]
        self._index = {action.id: index for index, action in enumerate(actions)}
        self._dependents: dict[int, list[int]] = defaultdict(list)
        self._waits_for = [len(set(action.after)) for action in actions]
        self._open = set(range(len(actions)))
        """Neither started nor skipped."""
        self._ready: list[int] = []
        self._parked: dict[Slot, list[int]] = defaultdict(list)
        self._running: set[int] = set()
        for index, action in enumerate(actions):
            for predecessor in set(action.after) & self._index.keys():
                self._dependents[self._index[predecessor]].append(index)
            if not action.after:
                heappush(self._ready, index)

    def start(self) -> list[Action]:
        """The actions that start now, in plan order as far as slots allow; their slots are taken."""
        started: list[int] = []
        while self._ready:
            index = heappop(self._ready)
            if index not in self._open:
                continue
            full = self._occupancy.take(self._slots[index])
            if full is not None:
                heappush(self._parked[full], index)
            else:
                self._open.discard(index)
                self._running.add(index)
                started.append(index)
            self._wake(self._slots[index])
        return [self._actions[index] for index in sorted(started)]

    def finish(self, action: Action, *, succeeded: bool) -> list[tuple[Action, str]]:
        """Give the slots back; return the actions that can now never start, each with the predecessor that failed."""
        index = self._index[action.id]
        self._running.discard(index)
        self._occupancy.release(self._slots[index])
        self._wake(self._slots[index])
        if not succeeded:
            return self._skip_dependents(index)
        for dependent in self._dependents.get(index, ()):
            self._waits_for[dependent] -= 1
            if self._waits_for[dependent] == 0:
                heappush(self._ready, dependent)
        return []

    def look_again(self) -> None:
        """Another pass gave slots back: whoever is parked at one that has room may start."""
        self._wake(self._parked.keys())

    @property
    def is_held_up(self) -> bool:
        """Whether an action waits for a slot; if none of ours runs, another pass holds it."""
        return any(self._parked.values())

    def close(self) -> None:
        """Give back whatever is still held, after something went wrong."""
        while self._running:
            self._occupancy.release(self._slots[self._running.pop()])

    def dependents(self, action: Action) -> tuple[Action, ...]:
        """Actions that name `action` in their `after`, in plan order; may be called from any thread."""
        return tuple(self._actions[index] for index in self._dependents.get(self._index[action.id], ()))

    def remaining(self) -> list[Action]:
        """Actions that neither started nor were skipped, in plan order."""
        return [self._actions[index] for index in sorted(self._open)]

    def _wake(self, slots: Iterable[Slot]) -> None:
        # Whoever is parked at a slot that has room is looked at next, or nobody would ever look at it again.
        for slot in slots:
            parked = self._parked.get(slot)
            if parked and self._occupancy.has_room(slot):
                heappush(self._ready, heappop(parked))

    def _skip_dependents(self, failed: int) -> list[tuple[Action, str]]:
        skipped: list[tuple[Action, str]] = []
        causes = [failed]
        while causes:
            cause = causes.pop()
            for dependent in self._dependents.get(cause, ()):
                if dependent in self._open:
                    self._open.discard(dependent)
                    skipped.append((self._actions[dependent], self._actions[cause].id))
                    causes.append(dependent)
        return skipped

"""Who does the work of a plan: threads, or in a simulation something that takes turns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Pool(Protocol):
    """Workers that take what is submitted; leaving their context waits for them."""

    def submit(self, work: Callable[[T], object], argument: T, /) -> object: ...


class Results(Protocol):
    """What workers hand to the dispatcher."""

    def put(self, item: Any) -> None: ...
    def get(self) -> Any: ...


class Crew(Protocol):
    """Makes both."""

    def pool(self, workers: int) -> AbstractContextManager[Pool]: ...
    def results(self) -> Results: ...


class Threads:
    """A crew of threads."""

    def pool(self, workers: int) -> AbstractContextManager[Pool]:
        return ThreadPoolExecutor(workers, thread_name_prefix="action")

    def results(self) -> Results:
        return SimpleQueue[Any]()

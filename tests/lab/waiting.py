"""Waiting for conditions, and the one error of the lab."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.2
_LONGEST_PAUSE_AFTER_WORK = 1.0


class LabError(Exception):
    """The lab itself failed; the text names lab or host, what is wrong, and where to look."""


def wait_for(predicate: Callable[[], T], timeout: float, message: str | Callable[[], str]) -> T:
    """Call `predicate` until it returns something true, and return that.

    `timeout` is in seconds. Raises `TimeoutError` with `message` (or what `message()` says at that moment).
    What `predicate` raises is passed on: a predicate that may fail for a while has to say so itself.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        asked = time.monotonic()
        if result := predicate():
            return result
        answered = time.monotonic()
        if answered >= deadline:
            text = message() if callable(message) else message
            raise TimeoutError(f"not within {timeout:g} s: {text}")
        # Asking, by a command for instance, may take what is waited for: a third of the time is spent on it.
        time.sleep(max(pause, min(2 * (answered - asked), _LONGEST_PAUSE_AFTER_WORK)))
        pause = min(pause * 1.5, _LONGEST_PAUSE)

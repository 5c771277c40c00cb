"""When a failed action is tried again: a pure function of how often it failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.model.ledger import LONGEST_BACKOFF, Failure

FIRST_DELAY: Final = 5.0
FENCING_BACKOFF: Final = 60.0
"""The longest wait before a host is fenced again: its VMs are down, and a device is asked before it is used."""


def retry_delay(attempts: int, *, permanent: bool, longest: float = LONGEST_BACKOFF) -> float:
    """Seconds to wait after the `attempts`-th failure (from 1): 5, 10, 20 … up to `longest`.

    No jitter: one controller acts on a fleet, and its own limits already spread the load. A permanent error waits the
    longest at once; it is tried at all because people repair hosts without telling us.
    """
    if permanent:
        return longest
    return min(longest, FIRST_DELAY * 2.0 ** min(attempts - 1, 16))


def next_failure(
    known: Failure | None,
    *,
    key: str,
    inputs: str,
    message: str,
    permanent: bool,
    now: float,
    longest: float = LONGEST_BACKOFF,
) -> Failure:
    """The record of one more failure; a changed action starts afresh."""
    attempts = known.attempts + 1 if known is not None and known.inputs == inputs else 1
    return Failure(
        key=key,
        attempts=attempts,
        message=message,
        permanent=permanent,
        not_before=now + retry_delay(attempts, permanent=permanent, longest=longest),
        inputs=inputs,
    )


def growing_delays(first: float, longest: float, factor: float = 2.0) -> Iterator[float]:
    """Seconds between looks at something that should happen soon: times `factor` from `first` up to `longest`."""
    delay = first
    while True:
        yield delay
        delay = min(longest, delay * factor)

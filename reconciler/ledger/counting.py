"""Now, by all clocks that there are: for what must not depend on the wall clock alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reconciler.clock import Clock
from reconciler.model.counted_time import Instant

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def instant_of(clock: Clock) -> Instant:
    """What `clock` says, and of which start of this machine its monotonic time counts."""
    return Instant(clock.now(), clock.monotonic(), _boot())


def _boot() -> str:
    """Empty where the kernel does not tell: then nothing is ever counted."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""

"""When a VM that ended by itself is started again: with growing pauses, and after too many times not for a while.

    restarts in a row   0    1     2     3     4     …   max_restarts
    pause               none 10 s  20 s  40 s  80 s      left alone, until the last one is a restart_window ago

A row is broken by `restart_window` without a restart. A lost or rebooted host is no fault of its VMs: libvirt then says
neither that they crashed nor that they shut down, so those starts are not counted.
"""

from __future__ import annotations

import math
from typing import Final

from reconciler.model.domain import DomainState
from reconciler.model.inventory import ObservedDomain
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Unmet
from reconciler.model.policy import HighAvailability
from reconciler.model.quantities import format_duration
from reconciler.model.resource import ObjectRef

FIRST_PAUSE: Final = 10.0
"""Seconds between the first restart and the second; each further pause is twice as long."""
_ENDS: Final = {
    "crashed": "it crashed",
    "daemon": "its QEMU was given up by libvirt",
    "shutdown": "its guest had shut down",
}
"""libvirt's reasons of being off that the guest, or its QEMU, brought about by itself."""
_CRASHED: Final[DomainState] = "crashed"


def ended_by_itself(domain: ObservedDomain) -> bool:
    """Whether the guest crashed or shut down, as opposed to never having run, or having been stopped."""
    return domain.state == _CRASHED or domain.reason in _ENDS


def how_it_ended(domain: ObservedDomain, restarts: tuple[float, ...], policy: HighAvailability, now: float) -> str:
    """`it crashed (restart 2 of 5)`: of a VM that ended by itself and is started again now."""
    end = _ENDS.get(domain.reason, _ENDS["crashed"])
    return f"{end} (restart {in_a_row(restarts, policy.restart_window, now) + 1} of {policy.max_restarts})"


def in_a_row(restarts: tuple[float, ...], window: float, now: float) -> int:
    """How many restarts, wall times oldest first, count now; those ahead were written before the clock was set back."""
    past = [at for at in restarts if at <= now]
    if not past or now - past[-1] >= window:
        return 0
    return sum(1 for at in past if past[-1] - at < window)


def pause_after(count: int) -> float:
    """Seconds from the last of `count` restarts in a row to the next."""
    return FIRST_PAUSE * 2.0 ** (count - 1) if count else 0.0


def why_not_yet(
    target: ObjectRef,
    host: str,
    domain: ObservedDomain,
    restarts: tuple[float, ...],
    policy: HighAvailability,
    now: float,
) -> Unmet | None:
    """Why a VM that ended by itself is not started again at `now`; None if it is to be."""
    count = in_a_row(restarts, policy.restart_window, now)
    if not count:
        return None
    last = max(at for at in restarts if at <= now)
    end = _ENDS.get(domain.reason, _ENDS["crashed"])
    if count >= policy.max_restarts:
        return Unmet(
            target,
            "crash-loop",
            f"{end} after {_restarts(count)} within {format_duration(policy.restart_window)}:"
            f" left alone for {_seconds(last + policy.restart_window - now)}",
            severity="blocked",
            host=host,
            hint=NextCommand("resume", str(target)),
        )
    wait = last + pause_after(count) - now
    if wait <= 0:
        return None
    return Unmet(
        target,
        "crash-loop",
        f"{end} after {_restarts(count)}: the next one in {_seconds(wait)}",
        host=host,
        hint=NextCommand("resume", str(target)),
    )


def _restarts(count: int) -> str:
    return "1 restart" if count == 1 else f"{count} restarts"


def _seconds(wait: float) -> str:
    return f"{max(1, math.ceil(wait))} s"

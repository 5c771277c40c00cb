"""The only door to fence devices: the same for real agents and for the simulated fleet."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from reconciler.model.health import AttemptEnd, FenceProof, FenceTest, Power
from reconciler.model.host import Host


class AttemptLog(Protocol):
    """Told of every try of a level, before and after it; what it writes outlives the process."""

    def began(self, level: int, agent: str) -> int:
        """A number for the attempt that begins."""
        ...

    def ended(self, attempt: int, end: AttemptEnd, message: str) -> None: ...

    def before_off(self) -> None:
        """The device says `on` and is told to switch off next: raises FencingStopped where it must not be any more."""
        ...


class PowerControl(Protocol):
    """The fence devices of the fleet; every method blocks its thread for at most its deadline."""

    def power(self, host: Host) -> Power:
        """What the first device that answers says; `unknown` where none does. Read-only, never raises."""
        ...

    def fence(self, host: Host, incident: str, attempts: AttemptLog, stop: threading.Event) -> FenceProof:
        """Switch the host off, level after level, until a device confirms that it is off.

        A host that is found off is not switched; a device that has just said `on` is not asked again before. A timeout
        is a failure, and so is a device that says `on` after a success. When `stop` is set, the attempt under way is
        ended, its agent's process with it, and nothing of it goes on. Raises FencingFailed with every level's reason,
        or FencingStopped.
        """
        ...

    def test(self, host: Host, *, identity: str | None, others: Mapping[str, str] = MappingProxyType({})) -> FenceTest:
        """Ask every device for the power status, and for whose it is where the agent allows that; switches nothing.

        `identity` is the machine's UUID as libvirt tells it, where it is known; `others` has, by UUID, other hosts of
        the fleet: a device that is one of theirs fails the test.
        """
        ...

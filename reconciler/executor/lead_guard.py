"""The last look before anything is changed: may this controller still act? Asked just before each call that changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct

from reconciler.fencing.interface import AttemptLog, PowerControl
from reconciler.hypervisor.interface import Fleet, HostEvent, Hypervisor, MigrationCall, Progress
from reconciler.model.health import AttemptEnd, FenceProof, FenceTest, Power
from reconciler.model.host import Host
from reconciler.model.steps import MigrateDomain

Check = Callable[[], None]
"""Raises LeadLost."""

READING: Final = frozenset(
    (
        *("name", "connected", "pulse", "ping", "read", "sweep", "domain", "domain_by_name", "domain_state", "pool"),
        *("volume", "guest_answers", "abilities", "cpu_lacks", "cpu_baseline", "migration_job"),
        *("finished_migration", "close", "backup_job", "finished_backup", "checkpoints", "download_volume"),
    )
)
"""What changes nothing; whatever is not named here is taken for a change."""


class _GuardedHost:
    """A Hypervisor whose changes are checked first."""

    def __init__(self, host: Hypervisor, check: Check) -> None:
        self._host = host
        self._check = check

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._host, name)
        if name in READING:
            return found

        def checked(*args: Any, **named: Any) -> Any:
            self._check()
            return found(*args, **named)

        return checked

    def upload_volume(self, pool: str, volume: str, content: Any, length: int, progress: Progress) -> None:
        """An upload may take hours: it ends where the lead does."""

        def checked(done: int) -> None:
            self._check()
            progress(done)

        self._check()
        self._host.upload_volume(pool, volume, content, length, checked)

    def begin_migration(self, step: MigrateDomain) -> MigrationCall:
        """The connection that it goes over is opened first, which may take longer than a lead lasts."""
        self._check()
        return self._host.begin_migration(step, self._check)


class GuardedFleet:
    """Implements Fleet; nothing is changed through it once `check` raises."""

    def __init__(self, fleet: Fleet, check: Check) -> None:
        self._fleet = fleet
        self._check = check

    def host(self, name: str) -> Hypervisor:
        return cast("Hypervisor", _GuardedHost(self._fleet.host(name), self._check))

    @property
    def names(self) -> tuple[str, ...]:
        return self._fleet.names

    def update(self, hosts: Mapping[str, str]) -> None:
        self._fleet.update(hosts)

    def subscribe(self, callback: Callable[[HostEvent], None]) -> None:
        self._fleet.subscribe(callback)

    def close(self) -> None:
        self._fleet.close()


class _GuardedAttempts(Struct, frozen=True):
    """Implements AttemptLog: the last question before a device is told to switch off."""

    attempts: AttemptLog
    check: Check

    def began(self, level: int, agent: str) -> int:
        self.check()
        return self.attempts.began(level, agent)

    def ended(self, attempt: int, end: AttemptEnd, message: str) -> None:
        self.attempts.ended(attempt, end, message)

    def before_off(self) -> None:
        self.attempts.before_off()
        self.check()


class GuardedPower:
    """Implements PowerControl; no device is told to switch off once `check` raises."""

    def __init__(self, power: PowerControl, check: Check) -> None:
        self._power = power
        self._check = check

    def power(self, host: Host) -> Power:
        return self._power.power(host)

    def fence(self, host: Host, incident: str, attempts: AttemptLog, stop: threading.Event) -> FenceProof:
        self._check()
        return self._power.fence(host, incident, _GuardedAttempts(attempts, self._check), stop)

    def test(self, host: Host, *, identity: str | None, others: Mapping[str, str] = MappingProxyType({})) -> FenceTest:
        return self._power.test(host, identity=identity, others=others)

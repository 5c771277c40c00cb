"""Counts what hosts are asked: by host, by what was asked, and by how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from reconciler.clock import Clock
from reconciler.errors import HostError, HostTimeout, HostUnreachable
from reconciler.hypervisor.interface import Fleet, HostEvent, Hypervisor

Tell = Callable[[str, str, str, float], None]
"""Called with host, kind, result (`ok`, `refused`, `timeout`, `unreachable`, `mistake`) and seconds."""

_NOT_ASKED: Final = frozenset(("name", "connected", "uri", "pulse", "close"))
"""What never waits for the host."""


class _MeasuredHost:
    """A Hypervisor of which each call is told."""

    def __init__(self, host: Hypervisor, clock: Clock, tell: Tell) -> None:
        self._host = host
        self._clock = clock
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._host, name)
        if name in _NOT_ASKED:
            return found

        def measured(*args: Any, **named: Any) -> Any:
            begun, result = self._clock.monotonic(), "mistake"
            try:
                answer = found(*args, **named)
                result = "ok"
            except HostError as error:
                result = _result_of(error)
                raise
            else:
                return answer
            finally:
                self._tell(self._host.name, name.replace("_", "-"), result, self._clock.monotonic() - begun)

        return measured


def _result_of(error: HostError) -> str:
    match error:
        case HostTimeout():
            return "timeout"
        case HostUnreachable():
            return "unreachable"
        case _:
            return "refused"


class MeasuredFleet:
    """Implements Fleet."""

    def __init__(self, fleet: Fleet, clock: Clock, tell: Tell) -> None:
        self._fleet = fleet
        self._clock = clock
        self._tell = tell

    def host(self, name: str) -> Hypervisor:
        return cast("Hypervisor", _MeasuredHost(self._fleet.host(name), self._clock, self._tell))

    @property
    def names(self) -> tuple[str, ...]:
        return self._fleet.names

    def update(self, hosts: Mapping[str, str]) -> None:
        self._fleet.update(hosts)

    def subscribe(self, callback: Callable[[HostEvent], None]) -> None:
        self._fleet.subscribe(callback)

    def close(self) -> None:
        self._fleet.close()

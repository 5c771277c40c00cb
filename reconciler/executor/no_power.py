"""Fence devices of a program that has none."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from reconciler.errors import FencingFailed
from reconciler.fencing.interface import AttemptLog
from reconciler.model.health import FenceProof, FenceTest, Power
from reconciler.model.host import Host


class NoPower(Struct, frozen=True):
    """Switches nothing and proves nothing: for whoever carries out plans without fence devices."""

    def power(self, host: Host) -> Power:  # noqa: ARG002
        return "unknown"

    def fence(self, host: Host, incident: str, attempts: AttemptLog, stop: threading.Event) -> FenceProof:  # noqa: ARG002
        raise FencingFailed(
            f"Host/{host.name}: there are no fence devices here", hint=f"reconciler fence confirm {host.name}"
        )

    def test(
        self,
        host: Host,
        *,
        identity: str | None,  # noqa: ARG002
        others: Mapping[str, str] = MappingProxyType({}),  # noqa: ARG002
    ) -> FenceTest:
        return FenceTest(host.name, 0.0, passed=False, devices="", message="there are no fence devices here")

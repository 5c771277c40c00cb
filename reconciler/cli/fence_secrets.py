"""Hosts whose fence devices can't be tested here, as their secrets can't be read by whoever asks."""

from __future__ import annotations

import time
from collections.abc import Iterable

from reconciler.errors import FencingError
from reconciler.fencing.levels import levels_of
from reconciler.fencing.secrets import Credentials
from reconciler.model.fencing_devices import devices_hash
from reconciler.model.health import FenceTest
from reconciler.model.host import Host


def locked_out(hosts: Iterable[Host], credentials: Credentials) -> list[FenceTest]:
    """What to tell of each such host; not for the ledger.

    A secret that is missing here says nothing of the device: the service has its secrets from systemd, which commands
    get nothing from. To remember that as a failed test would disarm hosts that the controller can fence.
    """
    found = ((host, _missing(host, credentials)) for host in hosts)
    return [
        FenceTest(host=host.name, at=time.time(), passed=False, devices=devices_hash(host), message=missing)
        for host, missing in found
        if missing
    ]


def _missing(host: Host, credentials: Credentials) -> str:
    """Of its first level whose secrets can't be read here; empty where all can."""
    for level in levels_of(host):
        try:
            credentials.of(level.spec, level.place)
        except FencingError as error:
            return f"{level.text}: not tested: {level.without_place(error)}; {error.hint}"
    return ""

"""Connecting begins before anything else is imported: a host takes as long to answer as the rest takes to load."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from reconciler.clock import Clock, SystemClock
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.specfiles.likely_hosts import likely_hosts


class Dialled(Struct, frozen=True):
    """A fleet that is being connected to since `at` (monotonic time)."""

    fleet: LibvirtFleet
    at: float


def dial_ahead(directory: Path, clock: Clock | None = None, *, listens: bool = True) -> Dialled | None:
    """Begin to connect to the hosts that `directory` seems to name; None where it names none at a glance.

    For `listens` see LibvirtFleet: a command that looks once has nothing to hear.
    """
    clock = clock or SystemClock()
    hosts = likely_hosts(directory)
    if not hosts:
        return None
    fleet = LibvirtFleet(hosts, clock=clock, listens=listens)
    at = clock.monotonic()
    fleet.dial()
    return Dialled(fleet, at)

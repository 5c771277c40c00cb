"""From the cut to `running` elsewhere: hosts with real BMCs, cut off or without power; `fence_ipmilan` as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Final

import libvirt

from tests.bench.bench import Bench
from tests.bench.measuring import BenchError, Row, Target
from tests.lab.ha_fleet import HaFleet, make_ha_fleet
from tests.lab.host import LabHost

_VMS: Final = ("web-1", "web-2", "web-3")
_EVERY_SECONDS: Final = 0.05
_LIMIT_SECONDS: Final = 120.0
_CUTS: Final = 20
_FEW_CUTS: Final = 3
_FAST: Final = {"profile": "fast"}


def measure(bench: Bench) -> Iterator[Row]:
    """Cuts of the host with the most VMs until all of those run on others; the median, and the slowest."""
    yield from _rows(bench, "power cut, device says off", LabHost.power_cut, {}, (6.0, 9.0))
    yield from _rows(bench, "network cut, device says on", LabHost.network_cut, {}, (13.0, 18.0))
    yield from _rows(bench, "network cut, profile fast", LabHost.network_cut, _FAST, (5.0, None))


def _rows(
    bench: Bench,
    name: str,
    cut: Callable[[LabHost], None],
    policy: Mapping[str, str],
    limits: tuple[float, float | None],
) -> Iterator[Row]:
    lab = bench.fresh_lab()
    lab.start_bmcs()
    fleet = make_ha_fleet(lab, bench.place(name.replace(" ", "-").replace(",", "")), _VMS, policy=policy)
    try:
        fleet.create()
        seconds = tuple(_recovery(fleet, cut) for _ in range(_FEW_CUTS if bench.quick else _CUTS))
    finally:
        fleet.kill_daemon()
    half, slowest = limits
    yield Row(f"{name}: until running, p50", seconds, Target(half, "value"))
    yield Row(f"{name}: p99", (_percentile(seconds, 99),), None if slowest is None else Target(slowest, "value"))


def _recovery(fleet: HaFleet, cut: Callable[[LabHost], None]) -> float:
    """Seconds from the cut until each VM of the host runs on another."""
    fleet.settle()
    lost, vms = fleet.fullest()
    with ExitStack() as stack:
        others = [
            stack.enter_context(closing(libvirt.open(host.local_uri)))
            for host in fleet.lab.hosts
            if host.name != lost.name
        ]
        begun = time.monotonic()
        cut(lost)
        while not set(vms) <= _running(others):
            if time.monotonic() - begun > _LIMIT_SECONDS:
                raise BenchError(f"{', '.join(vms)} not recovered from {lost.name}: {fleet.health()}")
            time.sleep(_EVERY_SECONDS)
        return time.monotonic() - begun


def _running(hosts: Iterable[libvirt.virConnect]) -> set[str]:
    """As `virsh list` has it, at a fraction of what its processes would take from what is measured."""
    domains = (domain for host in hosts for domain in host.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING))
    return {domain.name() for domain in domains}


def _percentile(samples: tuple[float, ...], share: int) -> float:
    """The smallest sample that `share` per cent are not above: of a few the slowest."""
    return sorted(samples)[math.ceil(len(samples) * share / 100) - 1]

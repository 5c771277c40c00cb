"""A host with four running VMs emptied by its spec, beside `virsh migrate`, two at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import libvirt

from tests.bench.bench import Bench
from tests.bench.measuring import BenchError, Row, Target, stopwatch
from tests.lab.controller import Controller, host_specs, make_controller, stop, ticks, vm_spec
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, wait_for
from tests.lab.waiting import LabError

_VMS: Final = ("web-1", "web-2", "web-3", "web-4")
_ROUNDS: Final = 4
_LIMIT_SECONDS: Final = 180.0
_EVERY_SECONDS: Final = 0.05


def measure(bench: Bench) -> Iterator[Row]:
    """From the commit to the moment at which no guest runs there; both ways by turns, between the same two hosts."""
    lab = bench.fresh_lab()
    controller = make_controller(lab, bench.place("draining"), ())
    _set_states(controller, lab, h2="cordoned", h3="cordoned")
    for name in _VMS:
        controller.write(f"vms/{name}.yaml", vm_spec(name))
    controller.apply()
    try:
        wait_for(lambda: min(ticks(lab, name) for name in _VMS) >= 3, _LIMIT_SECONDS, "they have not booted")
    except LabError as error:
        raise BenchError(str(error)) from error
    there = _Fleet(controller, lab)
    daemon = controller.start("run", log=bench.folder / "draining.log")
    ours: list[float] = []
    theirs: list[float] = []
    try:
        here, other = lab.hosts[:2]
        for number in range(1 if bench.quick else _ROUNDS):
            ways = [(there.by_spec, ours), (there.by_hand, theirs)]
            for way, samples in ways if number % 2 == 0 else reversed(ways):
                samples.append(way(here, other))
                here, other = other, here
    finally:
        stop(daemon)
    yield Row("empty a host of 4 VMs", tuple(ours), Target(1.3, "ratio"), "virsh migrate, two at a time", tuple(theirs))


@dataclass(frozen=True, slots=True)
class _Fleet:
    controller: Controller
    lab: Lab

    def by_spec(self, source: LabHost, target: LabHost) -> float:
        """Seconds until the controller has emptied `source`."""
        self._settle(source)
        with closing(libvirt.open(source.local_uri)) as guests:
            begun = time.perf_counter()
            _set_states(self.controller, self.lab, **{source.name: "maintenance", "h3": "cordoned"})
            while guests.numOfDomains():
                if time.perf_counter() - begun > _LIMIT_SECONDS:
                    raise BenchError(f"{source.name} is not empty: {self.controller.run('status').out}")
                time.sleep(_EVERY_SECONDS)
            took = time.perf_counter() - begun
        self._settle(target)
        return took

    def by_hand(self, source: LabHost, target: LabHost) -> float:
        """Seconds of four `virsh migrate`."""
        self._settle(source)

        def move(name: str) -> str:
            flags = ("--live", "--p2p", "--persistent", "--undefinesource", "--unsafe")
            return source.virsh("migrate", *flags, name, target.uri)

        def move_all() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(move, _VMS))

        return stopwatch(move_all)

    def _settle(self, home: LabHost) -> None:
        """Until all of them run on `home`, and nothing is left to do."""
        _set_states(self.controller, self.lab, h3="cordoned")
        try:
            wait_for(lambda: self._is_settled(home.name), _LIMIT_SECONDS, "it does not come to rest")
        except LabError as error:
            raise BenchError(f"{error}\n{self.controller.run('status').out}") from error

    def _is_settled(self, home: str) -> bool:
        plan = self.controller.plan()
        status = self.controller.run("status", "--json").json()
        return not plan["actions"] and not plan["unmet"] and {vm["host"] for vm in status["vms"]} == {home}


def _set_states(controller: Controller, lab: Lab, **states: str) -> None:
    """Hosts in these states, the others active."""
    text = host_specs(lab)
    for host in lab.hosts:
        if host.name in states:
            text = text.replace(f"uri: {host.uri}", f"state: {states[host.name]}\n  uri: {host.uri}")
    controller.write("hosts.yaml", text)

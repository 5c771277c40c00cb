"""Fence agents without programs: they switch the power of simulated machines, or fail as real ones do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, Literal

from reconciler.clock import Clock
from reconciler.fencing.agents import Answer, Verb
from reconciler.hypervisor.simulated import SimulatedFleet
from reconciler.model.fencing_parameters import canonical_name

Manner = Literal["ok", "dead", "refuses", "fails", "says-on", "slow"]
"""How a device behaves: `dead` never answers, `refuses` connections, `fails` to switch off, `says-on` although it
reported success (and switched nothing), or is `slow` to switch."""
_STATUS_SECONDS: Final = 0.2
_OFF_SECONDS: Final = 2.0
_SLOW_SECONDS: Final = 20.0
_SLICE: Final = 0.5


def device_of(parameters: Mapping[str, str]) -> str:
    """What names a device in a scenario: its plug, or its address."""
    values = {canonical_name(name): value for name, value in parameters.items()}
    return values.get("plug") or values.get("ip") or ""


class SimulatedAgents:
    """Implements AgentRunner; `machines` says which machine's power each device switches."""

    def __init__(
        self,
        fleet: SimulatedFleet,
        clock: Clock,
        machines: Mapping[str, str],
        on_off: Callable[[str], None],
        on_order: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._machines = machines
        self._on_off = on_off
        self._on_order = on_order
        self._manners: dict[str, Manner] = {}

    def behave(self, device: str, manner: Manner) -> None:
        """Have `device` behave so from now on; raises KeyError for one that nobody has."""
        if device not in self._machines:
            raise KeyError(f"fence device {device}")
        self._manners[device] = manner

    def run(
        self,
        agent: str,  # noqa: ARG002  # all are alike
        verb: Verb,
        parameters: Mapping[str, str],
        secrets: Mapping[str, str],  # noqa: ARG002  # nobody looks at them
        *,
        deadline: float,
        stopped: Callable[[], bool],
    ) -> Answer:
        device = device_of(parameters)
        machine, manner = self._machines.get(device, ""), self._manners.get(device, "ok")
        if manner == "dead":
            return self._wait(deadline - self._clock.monotonic(), stopped) or _timed_out()
        seconds = _seconds(verb, manner)
        if self._clock.monotonic() + seconds > deadline:
            return self._wait(deadline - self._clock.monotonic(), stopped) or _timed_out()
        if verb == "off":
            self._on_order(machine)
        called_off = self._wait(seconds, stopped)
        if called_off is not None:
            return called_off
        if manner == "refuses" or machine not in self._fleet.world.hosts:
            return Answer("exited", 1, "", "connection refused")
        return self._answer(verb, machine, manner)

    def _answer(self, verb: Verb, machine: str, manner: Manner) -> Answer:
        state = self._fleet.world.hosts[machine]
        if verb == "list":
            plugs = (f"{plug} {self._uuid(name)} on" for plug, name in self._machines.items())
            return Answer("exited", 0, "\n".join(plugs), "")
        if verb == "off":
            if manner == "fails":
                return Answer("exited", 1, "", "the device could not switch the outlet")
            if manner != "says-on":
                self._on_off(machine)
                self._fleet.power_off(machine)
            return Answer("exited", 0, "", "")
        return Answer("exited", 0 if state.faults.powered else 2, "", "")

    def _uuid(self, machine: str) -> str:
        return self._fleet.world.hosts[machine].facts.uuid if machine in self._fleet.world.hosts else ""

    def _wait(self, seconds: float, stopped: Callable[[], bool]) -> Answer | None:
        """Let so much time pass; the answer of an agent that was ended, where it is called off meanwhile."""
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:
            if stopped():
                return Answer("stopped", None, "", "called off")
            self._clock.wait(threading.Event(), min(_SLICE, until - self._clock.monotonic()))
        return Answer("stopped", None, "", "called off") if stopped() else None


def _seconds(verb: Verb, manner: Manner) -> float:
    if verb != "off":
        return _STATUS_SECONDS
    return _SLOW_SECONDS if manner == "slow" else _OFF_SECONDS


def _timed_out() -> Answer:
    return Answer("timed-out", None, "", "no answer in time; it was ended")

"""What every call to a simulated host goes through: time, faults, a lost reply, and whoever looks on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import HostTimeout, HostUnreachable
from reconciler.hypervisor import simulated_backup as backups
from reconciler.hypervisor import simulated_domains as domains
from reconciler.hypervisor import simulated_migration as migration
from reconciler.hypervisor.simulated_world import HostState, MutatingCall, Phase, World


class SimulatedDoor:
    """A host's state, and the way to it; `deadline` in simulated seconds."""

    def __init__(self, world: World, state: HostState, deadline: float) -> None:
        self._world = world
        self._state = state
        self._deadline = deadline

    @property
    def name(self) -> str:
        return self._state.name

    @contextmanager
    def _mutation(self, method: str, target: str) -> Iterator[None]:
        call = MutatingCall(self.name, method, target)
        self._hook(call, "before")
        self._take_time()
        with self._call(method, target, may_lose_reply=True):
            yield
        self._hook(call, "after")

    def _hook(self, call: MutatingCall, phase: Phase) -> None:
        if phase == "before":
            self._world.calls.append(call)
        if self._world.on_mutation is not None:
            self._world.on_mutation(call, phase)

    @contextmanager
    def _call(self, method: str, target: str = "", *, may_lose_reply: bool = False) -> Iterator[None]:
        self._meet_faults(method, target)
        with self._world.lock:
            domains.settle(self._world, self._state)
            migration.settle(self._world)
            backups.settle(self._world, self._state)
            yield
        if may_lose_reply and method in self._state.faults.lost_replies:
            self._state.faults.lost_replies.remove(method)
            raise self._timeout(target)

    def _meet_faults(self, method: str, target: str) -> None:
        faults = self._state.faults
        if not (faults.powered and faults.linked):
            raise self._unreachable()
        if faults.hung or faults.delay > self._deadline:
            raise self._timeout(target)
        if faults.delay:
            self._pass_time(faults.delay)
        self._fail_as_told(method)

    def _fail_as_told(self, method: str) -> None:
        failures = self._state.faults.failures
        for index, (failing, error) in enumerate(failures):
            if failing == method:
                del failures[index]
                raise error

    def _unreachable(self) -> HostUnreachable:
        return HostUnreachable("no route to host", host=self.name, hint="look at the host and its network")

    def _timeout(self, target: str) -> HostTimeout:
        self._pass_time(self._deadline)
        return HostTimeout(f"no answer within {self._deadline:g} s", host=self.name, target=target)

    def _take_time(self) -> None:
        if self._state.call_seconds:
            self._pass_time(self._state.call_seconds)

    def _pass_time(self, seconds: float) -> None:
        self._world.clock.wait(threading.Event(), seconds)  # really waits where the clock is a real one

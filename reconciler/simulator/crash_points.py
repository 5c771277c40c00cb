"""Where the controller is killed, and which reply is lost: the n-th call of a method from now."""

from __future__ import annotations

from msgspec import Struct

from reconciler.hypervisor.simulated_world import MutatingCall, Phase


class _Point(Struct):
    method: str
    left: int
    phase: Phase


class CrashPoints:
    """Kills the controller around chosen calls."""

    def __init__(self) -> None:
        self._points: list[_Point] = []

    def add(self, method: str, number: int, phase: Phase) -> None:
        """Kill it at the `number`-th call of `method` (`any` for all methods) from now, before, during or after it."""
        self._points.append(_Point(method, number, phase))

    def is_here(self, call: MutatingCall, phase: Phase) -> bool:
        """Whether it is to be killed here."""
        here = False
        for point in tuple(self._points):
            if point.phase == phase and point.method in (call.method, "any"):
                point.left -= 1
                if point.left == 0:
                    self._points.remove(point)
                    here = True
        return here

"""What a handler may use, and the two manners of acting: once, and patiently."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import HostBusy, HostTimeout, PreconditionFailed, TransientHostError
from reconciler.executor.backoff import growing_delays
from reconciler.executor.interface import FetchProgress, ImageSource
from reconciler.executor.no_power import NoPower
from reconciler.fencing.interface import PowerControl
from reconciler.hypervisor.interface import Fleet, Hypervisor
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.model.plan import Action
from reconciler.model.policy import HighAvailability

_BUSY_PATIENCE: Final = 15.0

T = TypeVar("T")


class HandedBack(Exception):
    """The pass was asked to stop; what was begun is safe to leave as it is."""


class ActionContext(Struct, frozen=True):
    """What the handler of one action may use."""

    action: Action
    fleet: Fleet
    ledger: Ledger
    images: ImageSource
    clock: Clock
    stop: threading.Event
    fleet_name: str
    desired: DesiredState
    """The specs that the plan was made from."""
    on_progress: FetchProgress
    followers: tuple[Action, ...] = ()
    """Actions of the plan that need this one."""
    dead: frozenset[str] = frozenset()
    """Hosts that the plan takes for proven dead."""
    power: PowerControl = NoPower()
    """The fence devices."""
    ha: HighAvailability = HighAvailability()
    is_wanted: Callable[[str], bool] = lambda _vm: False
    """Whether the newest specs have the VM, whatever those of the plan say."""
    is_claimed: Callable[[str], bool] = lambda _volume: False
    """Whether the newest specs have a VM with the disk that a volume, by its name, was made for."""
    is_asked: Callable[[], bool] = lambda: True
    """Whether the newest plan, which may have been made while this action is under way, still asks for it."""

    def host(self) -> Hypervisor:
        """The host that the action is for; raises PreconditionFailed if it is not of the fleet."""
        return self.host_named(self.action.host or "")

    def host_named(self, name: str) -> Hypervisor:
        """Another host; raises PreconditionFailed if it is not of the fleet."""
        try:
            return self.fleet.host(name)
        except KeyError:
            raise PreconditionFailed(
                f"{self.action.target}: host {name} is not of the fleet any more", hint="plan again"
            ) from None

    def is_dead(self, host: str) -> bool:
        """Whether the plan rests on a proof that `host` is dead, and that stands: it has not answered since."""
        return host in self.dead and self.ledger.proof(host) is not None

    def intent_host(self, pool: str) -> str | None:
        """Host that an unfinished volume of `pool` is remembered for; None in a shared pool, where any host sees it."""
        spec = self.desired.pools.get(pool)
        return None if spec is not None and spec.spec.shared else self.action.host

    def patiently(self, call: Callable[[], T], patience: float = _BUSY_PATIENCE) -> T:
        """Do `call` again while the host is busy, for up to `patience` seconds: a busy host has not begun it."""
        deadline = self.clock.monotonic() + patience
        for delay in growing_delays(0.1, 5.0):
            try:
                return call()
            except HostBusy:
                if self.clock.monotonic() + delay > deadline:
                    raise
            if self.clock.wait(self.stop, delay):
                raise HandedBack
        raise AssertionError("the delays never end")

    def settle(self, act: Callable[[], object], achieved: Callable[[], bool], otherwise: str) -> None:
        """Act once and have the host confirm it.

        After a lost reply the host is read: a change that was applied is done, one that was not is left to the next
        pass. Nothing is ever sent twice. Raises what `act` raises, or TransientHostError saying `otherwise`.
        """
        try:
            self.patiently(act)
        except HostTimeout:
            if not achieved():
                raise
            return
        if not achieved():
            raise TransientHostError(otherwise, host=self.action.host or "", target=str(self.action.target))

    def refuse(self, message: str, hint: str = "plan again") -> PreconditionFailed:
        """The error that says why the action no longer fits the world."""
        return PreconditionFailed(f"{self.action.target} on {self.action.host}: {message}", hint=hint)

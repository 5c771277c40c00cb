"""How a process takes hold of the fleet: to look, to apply once, or to run as the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.clock import Clock, SystemClock
from reconciler.config import Settings
from reconciler.credentials.secret_store import SecretStore
from reconciler.daemon.dialling import Dialled
from reconciler.daemon.session import Session
from reconciler.hypervisor.interface import Fleet
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.hypervisor.looking_fleet import LookingFleet
from reconciler.images.catalog import ImageStore
from reconciler.ledger.controller_lock import ControllerLock, Holder
from reconciler.ledger.left_etcd import left_etcd, refuse_left_etcd
from reconciler.ledger.store import Ledger
from reconciler.model.desired_state import DesiredState
from reconciler.specfiles.loader import LoadedSpecs

if TYPE_CHECKING:
    from reconciler.daemon.host_watch import HostWatch
    from reconciler.daemon.pass_inputs import PassInputs
    from reconciler.fencing.devices import FenceDevices
    from reconciler.fencing.interface import PowerControl


class Hold(Struct, frozen=True):
    """A ledger, and what goes with it where several controllers share it."""

    ledger: Ledger
    check: Callable[[], None] | None = None
    """Asked just before anything is changed: raises LeadLost."""
    controller: Callable[[], Holder | None] | None = None
    """Who controls the fleet now."""
    problems: Callable[[], tuple[str, ...]] = tuple
    """What is wrong with the ledger itself, for `status`."""
    judge: Callable[[LoadedSpecs], DesiredState] = lambda specs: specs
    """Says of the specs whether they may be older than those that the fleet was led by."""


@contextmanager
def open_session(
    settings: Settings,
    *,
    writer: str | None,
    clock: Clock | None = None,
    dialled: Dialled | None = None,
    measured: Callable[[Fleet], Fleet] = lambda fleet: fleet,
) -> Iterator[Session]:
    """A session on the fleet of `settings`; `dialled` is the fleet where connecting to it was begun before.

    `measured` may have what its hosts are asked counted.

    `writer` is the command that takes control of the state directory, or the lead where several share a ledger
    (ControllerRunning if another has it); None looks only, and works beside a controller. Raises StateError,
    LedgerError, UsageError.
    """
    clock = clock or SystemClock()
    settings.specs_directory()
    with ExitStack() as stack:
        if settings.etcd is None:
            hold = stack.enter_context(hold_alone(settings, writer, clock))
        else:
            take_hold = import_module("reconciler.daemon.sharing").take_hold
            hold = stack.enter_context(take_hold(settings, writer))
        yield stack.enter_context(session_on(settings, hold, writer, clock, dialled, measured))


@contextmanager
def hold_alone(settings: Settings, writer: str | None, clock: Clock) -> Iterator[Hold]:
    """The ledger of the state directory, with the control of it for a `writer`; raises as `open_session` does."""
    with ExitStack() as stack:
        if writer is not None:
            refuse_left_etcd(settings.state_dir)
            stack.enter_context(ControllerLock(settings.state_dir, writer, clock))
        ledger = stack.enter_context(Ledger(settings.state_dir, readonly=writer is None))
        yield Hold(ledger, problems=partial(left_etcd, settings.state_dir))


@contextmanager
def session_on(
    settings: Settings,
    hold: Hold,
    writer: str | None,
    clock: Clock,
    dialled: Dialled | None = None,
    measured: Callable[[Fleet], Fleet] = lambda fleet: fleet,
    watched: float = 0.0,
) -> Iterator[Session]:
    """As `open_session`, by who has taken control already; `watched`: seconds that a session before watched hosts."""
    with ExitStack() as stack:
        fleet: Fleet = dialled.fleet if dialled else _fleet(writer, clock)
        stack.callback(fleet.close)
        fleet = measured(fleet)
        images = ImageStore(
            settings.state_dir, settings.policy, clock=clock, secrets=SecretStore(specs=settings.specs_directory)
        )
        power: PowerControl | None = _fence_devices(settings, clock, stack) if writer == "run" else None
        if hold.check is not None:
            guard = import_module("reconciler.executor.lead_guard")
            fleet = guard.GuardedFleet(fleet, hold.check)
            power = guard.GuardedPower(power, hold.check) if power is not None else None
        yield Session(
            settings,
            fleet=fleet,
            ledger=hold.ledger,
            controller=hold.controller,
            problems=hold.problems,
            judge=hold.judge,
            images=images,
            clock=clock,
            writer=writer,
            inputs=_pass_inputs(settings, stack) if writer is not None else None,
            dialled_at=dialled.at if dialled else None,
            host_watch=_host_watch(fleet, power, settings, clock, stack, watched) if power is not None else None,
            power=power,
        )


def _fleet(writer: str | None, clock: Clock) -> LibvirtFleet:
    return LookingFleet({}, clock=clock) if writer is None else LibvirtFleet({}, clock=clock)


def _pass_inputs(settings: Settings, stack: ExitStack) -> PassInputs:
    """Where the one controller keeps what its passes were decided from."""
    module = import_module("reconciler.daemon.pass_inputs")
    inputs: PassInputs = module.PassInputs(module.PassArchive(settings.state_dir), settings.policy)
    return stack.enter_context(inputs)


def _fence_devices(settings: Settings, clock: Clock, stack: ExitStack) -> PowerControl:
    """The real devices, for a controller that watches; what is under way with them ends with the session."""
    maker: type[FenceDevices] = import_module("reconciler.fencing.devices").FenceDevices
    credentials = import_module("reconciler.fencing.secrets").Credentials(specs=settings.specs_directory)
    devices = maker(settings.policy.ha, clock, credentials=credentials)
    stack.callback(devices.close)
    return devices


def _host_watch(
    fleet: Fleet, power: PowerControl, settings: Settings, clock: Clock, stack: ExitStack, watched: float
) -> HostWatch:
    maker: type[HostWatch] = import_module("reconciler.daemon.host_watch").HostWatch
    watch = maker(fleet, power, clock, settings.policy.ha, watched_before=watched)
    stack.callback(watch.close)
    return watch

"""What a promise is, and what those who look after it can see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from reconciler.daemon.view import View
from reconciler.hypervisor.simulated_world import DomainEntry, HostState, MutatingCall, World
from reconciler.model.desired_state import DesiredState
from reconciler.model.ledger import LedgerView
from reconciler.model.policy import Policy


class Wishes(Struct):
    """What the files of the specs say, read apart from the controller."""

    now: DesiredState | None = None
    policies: dict[str, str] = field(default_factory=dict)
    """The last `deletionPolicy` of each VM that ever was in them."""
    gone: set[str] = field(default_factory=set)
    """VMs that no file names any more, however broken."""
    gone_since: dict[tuple[str, str], float] = field(default_factory=dict)
    """By VM and disk that were in them once: since when no file names it any more, in monotonic seconds."""
    disks: set[tuple[str, str]] = field(default_factory=set)
    """By VM and name: all that ever were in them."""
    purged: set[str] = field(default_factory=set)
    """VMs of which people said that what is kept may go."""
    disposable: set[str] = field(default_factory=set)
    """Those of them when the controller last looked."""

    def note_disks(self, named: set[tuple[str, str]], now: float) -> None:
        """These disks, by VM and name, are in the specs; the others that ever were are not."""
        self.disks |= named
        self.gone_since = {gone: self.gone_since.get(gone, now) for gone in self.disks - named}
        self.purged -= {vm for vm, _disk in named}


class Scene(Struct, frozen=True):
    """What can be seen of a simulation from outside the controller."""

    world: World
    wishes: Wishes
    lock_is_held: Callable[[], bool]
    """Whether the kernel says that somebody holds the state directory."""
    controllers: Callable[[], int]
    """How many controllers act."""
    begun: Callable[[], float]
    """When the controller that runs began, in monotonic seconds."""
    policy: Policy
    monotonic: Callable[[], float]
    """The clock that nobody can set."""
    ledger: Callable[[], LedgerView]
    """The ledger as it is on disk now."""

    @property
    def fleet(self) -> str:
        return self.policy.fleet

    def is_ours(self, entry: DomainEntry) -> bool:
        mark = entry.config.mark
        return mark is not None and mark.fleet == self.fleet

    def domain(self, call: MutatingCall) -> DomainEntry | None:
        """The domain that a call is about, by UUID or name."""
        host = self.world.hosts[call.host]
        return host.domains.get(call.target) or host.by_name(call.target)


class Promise:
    """Looks after one promise; every method yields what breaks it, in words that name the objects."""

    name = ""
    sentence = ""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def before(self, call: MutatingCall) -> Iterable[str]:  # noqa: ARG002  # most promises don't need it
        """Just before a call that changes a host."""
        return ()

    def after(self, call: MutatingCall) -> Iterable[str]:  # noqa: ARG002  # likewise
        """Just after it was applied."""
        return ()

    def happened(self) -> None:
        """Something was done to the world, and not by the controller."""

    def tick(self) -> Iterable[str]:
        """After anything happened."""
        return ()

    def fencing_begins(self, host: str) -> Iterable[str]:  # noqa: ARG002  # likewise
        """When the controller sets about to fence `host`."""
        return ()

    def ordered_off(self, host: str) -> Iterable[str]:  # noqa: ARG002  # likewise
        """When a fence device is told to cut the power of `host`: from then on nobody can call it back."""
        return ()

    def fenced(self, host: str) -> Iterable[str]:  # noqa: ARG002  # likewise
        """Just before a fence device cuts the power of `host`."""
        return ()

    def at_rest(self, view: View, waiting: frozenset[str]) -> Iterable[str]:  # noqa: ARG002  # likewise
        """When nothing is left to do, but for `waiting` objects (`Kind/name`) whose time may just have come."""
        return ()


def answers(host: HostState) -> bool:
    """Whether the controller could be told by the host how its domains are."""
    faults = host.faults
    return faults.powered and faults.linked and not faults.hung


def running(hosts: Mapping[str, HostState]) -> Iterable[tuple[HostState, DomainEntry]]:
    """Every domain that runs, with its host; one that is on its way does so at its source."""
    for host in hosts.values():
        for entry in host.domains.values():
            if entry.active and not entry.is_incoming:
                yield host, entry

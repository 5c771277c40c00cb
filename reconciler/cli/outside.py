"""The doors from the command line to everything outside it, so that tests can open their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from reconciler.config import Settings
from reconciler.hypervisor.interface import Fleet
from reconciler.ledger.led_specs import LedSpecs
from reconciler.ledger.records import LedgerEvent
from reconciler.model.desired_state import DesiredState
from reconciler.model.health import FenceAttempt, FenceProof, FenceTest
from reconciler.model.ledger import LedgerView
from reconciler.model.mass_deletion import Deletion

if TYPE_CHECKING:  # brings libvirt along, which validate and pause can do without
    from reconciler.daemon.view import Converged, ConvergeObserver, View
    from reconciler.model.policy import PlainSecrets


class Session(Protocol):
    """A connection to the whole fleet; the real one is `reconciler.daemon.session.Session`."""

    @property
    def fleet(self) -> Fleet: ...

    def look(self, *, meanwhile: Callable[[], None] | None = None, mobility: bool = False) -> View:
        """Observe and plan; changes nothing; `meanwhile` is done while the hosts answer.

        With `mobility` the status tells where each VM could go.
        """
        ...

    def forget_failures(self) -> None:
        """What failed before is tried again by the next plan; of a session that has taken control."""
        ...

    def until_retry(self, view: View) -> float | None:
        """Seconds until it is worth looking again because something passes by itself; None if nothing does."""
        ...

    def converge(
        self, *, observer: ConvergeObserver, stop: threading.Event, expect: str | None, first: View
    ) -> Converged:
        """Carry out passes, that of `first` to begin with, until nothing moves; `expect` as for Session."""
        ...


class LedgerBook(Protocol):
    """What the command line asks of the ledger itself."""

    def events(self, target: str | None = None, limit: int = 50) -> tuple[LedgerEvent, ...]: ...
    def view(self) -> LedgerView: ...
    def pause(self, target: str = ...) -> None: ...
    def resume(self, target: str = ...) -> bool: ...
    def clear_failure(self, key: str) -> None: ...
    def keep_tombstones(self, vm: str, until: float) -> int: ...
    def purge_tombstones(self, vm: str) -> int: ...
    def accept_deletions(self, deletions: Iterable[Deletion]) -> None: ...
    def request_capture(self, image: str, at: float) -> None: ...
    def cancel_capture(self, image: str) -> bool: ...
    def led_specs(self) -> LedSpecs | None: ...
    def request_removal(self, image: str, stamp: str, at: float) -> None: ...
    def accept_specs(self, generation: str) -> None: ...
    def record_event(self, event: LedgerEvent) -> None: ...
    def attempts(self, host: str, limit: int = 20) -> tuple[FenceAttempt, ...]: ...
    def record_fence_test(self, test: FenceTest) -> None: ...
    def record_proof(self, proof: FenceProof) -> None: ...


class Outside(Struct, frozen=True):
    """Every door."""

    open_session: Callable[[Settings, str | None], AbstractContextManager[Session]]
    """The second argument is the command that takes control (`apply`), or None for one that only looks."""
    run_daemon: Callable[[Settings, Callable[[], Settings]], None]
    """Returns once the daemon was asked to end and has; the second argument reads the settings again."""
    load_specs: Callable[..., DesiredState]
    """Directory and fleet; `plain_secrets` of the policy, where that matters."""
    read_ledger: Callable[[Settings], AbstractContextManager[LedgerBook]]
    write_ledger: Callable[[Settings], AbstractContextManager[LedgerBook]]
    """Beside a controller too; where several share a ledger, whoever leads is asked to write."""


def production() -> Outside:
    """The real ones, each imported at its first use: libvirt alone takes 50 ms."""

    def open_session(settings: Settings, writer: str | None) -> AbstractContextManager[Session]:
        dial_ahead = import_module("reconciler.daemon.dialling").dial_ahead
        dialled = dial_ahead(settings.specs_directory(), listens=writer is not None)
        session: AbstractContextManager[Session] = import_module("reconciler.daemon.opening").open_session(
            settings, writer=writer, dialled=dialled
        )
        return session

    def run_daemon(settings: Settings, reread: Callable[[], Settings]) -> None:
        import_module("reconciler.daemon.loop").run(settings, reread=reread)

    def load_specs(directory: Path, fleet: str, plain_secrets: PlainSecrets = "warn") -> DesiredState:
        load = import_module("reconciler.specfiles.loader").load
        desired: DesiredState = load(directory, fleet=fleet, plain_secrets=plain_secrets)
        return desired

    def read_ledger(settings: Settings) -> AbstractContextManager[LedgerBook]:
        return _ledger(settings, readonly=True)

    def write_ledger(settings: Settings) -> AbstractContextManager[LedgerBook]:
        return _ledger(settings, readonly=False)

    return Outside(open_session, run_daemon, load_specs, read_ledger, write_ledger)


def _ledger(settings: Settings, *, readonly: bool) -> AbstractContextManager[LedgerBook]:
    if settings.etcd is None:
        if not readonly:
            import_module("reconciler.ledger.left_etcd").refuse_left_etcd(settings.state_dir)
        ledger = import_module("reconciler.ledger.store").Ledger(settings.state_dir, readonly=readonly)
    else:
        ledger = import_module("reconciler.cli.shared").ledger_of(settings, readonly=readonly)
    opened: AbstractContextManager[LedgerBook] = ledger
    return opened

"""The ledger in etcd as a process takes hold of it: to look, to ask its leader, or to lead."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from reconciler.clock import Clock, SystemClock
from reconciler.config import Settings
from reconciler.errors import ControllerRunning, FencingError, StateError, StoreUnavailable, StoreWentBack
from reconciler.fencing.secrets import Credentials
from reconciler.leadership.candidate import Candidate, leader_of
from reconciler.leadership.etcd import Access, EtcdStore
from reconciler.leadership.keys import Keys, Leader, keys_of
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.store import Store
from reconciler.ledger.asking import AskingLedger
from reconciler.ledger.controller_lock import Holder
from reconciler.ledger.replica import ReadCopy, Replica
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.store import Ledger
from reconciler.ledger.terms import record_term
from reconciler.model.ledger_store import EtcdLedger

_LONGEST_ANSWER: Final = 2.0


class BootClock(SystemClock):
    """Monotonic time that goes on while the machine sleeps: a lease ends then too."""

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class SharedLedger(Struct, frozen=True):
    """The ledger of a fleet in etcd, as one controller reaches it."""

    store: Store
    keys: Keys
    settings: Settings
    etcd: EtcdLedger
    clock: Clock
    """Of leases."""

    @property
    def position(self) -> SeenPosition:
        return SeenPosition(self.settings.state_dir, self.store.name)

    def candidate(self, command: str) -> Candidate:
        """This controller, standing for the lead; raises StateError for a state directory that can't be used."""
        prepare_state_directory(self.settings.state_dir)
        return Candidate(
            name=self.etcd.name or socket.gethostname(),
            command=command,
            store=self.store,
            keys=self.keys,
            position=self.position,
            clock=self.clock,
            lease_seconds=int(self.etcd.lease_ttl),
        )

    def take(self, command: str) -> Lead:
        """The lead, at once; raises ControllerRunning where another one has it, and what Candidate.stand raises."""
        result = self.candidate(command).stand()
        if isinstance(result, Leader):
            raise ControllerRunning(
                f"{result} leads fleet {self.settings.fleet}",
                hint="let it finish or stop it first; plan, status and why work beside it",
            )
        return result

    def holder(self) -> Holder | None:
        """Who leads, as a holder of the fleet; raises StoreUnavailable."""
        leader = leader_of(self.store, self.keys)
        return None if leader is None else Holder(leader.command, leader.pid, leader.since, leader.name, leader.term)

    def problems(self) -> tuple[str, ...]:
        """Why nothing of etcd is believed on this machine, if that is so and whoever looks may know."""
        try:
            self.position.newest()
        except StoreWentBack as error:
            return (f"{error.message} ({error.hint})",)
        except StateError:
            return ()
        return ()

    def copy(self) -> Ledger:
        """What etcd holds now, to look at; raises StoreUnavailable, LedgerError."""
        return Ledger(self.settings.state_dir, mirror=ReadCopy(self.store, self.keys))

    def working_copy(self, lead: Lead) -> Ledger:
        """The ledger of who leads, with the term in its history; raises LeadLost, StoreUnavailable, LedgerError."""
        ledger = Ledger(self.settings.state_dir, mirror=Replica(lead, self.store, self.keys, self.settings.state_dir))
        record_term(ledger, lead.leader)
        return ledger

    @contextmanager
    def for_writing(self, command: str) -> Iterator[Ledger | AskingLedger]:
        """The ledger for a command that writes a line or two: its leader is asked to, or it leads for that moment."""
        result = self.candidate(command).stand()
        if isinstance(result, Leader):
            with self.copy() as ledger:
                yield AskingLedger(ledger, str(result), self.store, self.keys, self.clock)
            return
        try:
            with self.working_copy(result) as ledger:
                yield ledger
                ledger.flush()
        finally:
            result.give_up()


@contextmanager
def shared_ledger(settings: Settings) -> Iterator[SharedLedger]:
    """The way to etcd that the configuration names."""
    etcd = settings.etcd or EtcdLedger()
    store = EtcdStore(_access(etcd))
    try:
        yield SharedLedger(store, keys_of(etcd.prefix, settings.fleet), settings, etcd, BootClock())
    finally:
        store.close()


def _access(etcd: EtcdLedger) -> Access:
    def password() -> str:
        if etcd.password is None:
            return ""
        try:
            return Credentials().value("ledger.etcd.password", etcd.password, "the configuration")
        except FencingError as error:
            raise StoreUnavailable(error.message, hint=error.hint) from error

    return Access(
        etcd.endpoints,
        etcd.ca,
        etcd.cert,
        etcd.key,
        etcd.username or "",
        password,
        seconds=min(_LONGEST_ANSWER, etcd.lease_ttl / 5),
    )

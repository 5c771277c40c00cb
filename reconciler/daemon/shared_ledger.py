"""The ledger in etcd as a process takes hold of it: to look, to ask its leader, or to lead."""

from __future__ import annotations

import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.clock import Clock, SystemClock
from reconciler.config import DEFAULT_CONFIG_FILE, Settings
from reconciler.credentials.secret_store import SecretStore
from reconciler.daemon.generations import difference, own_specs
from reconciler.errors import (
    LedgerConflict,
    LedgerError,
    SecretError,
    StateError,
    StoreUnavailable,
    StoreWentBack,
)
from reconciler.leadership.candidate import Candidate, leader_of
from reconciler.leadership.etcd import Access, EtcdStore
from reconciler.leadership.keys import Keys, Leader, keys_of
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import ACCEPT, SeenPosition
from reconciler.leadership.standbys import Standby, standbys_of
from reconciler.leadership.store import Store
from reconciler.ledger.accounts import account
from reconciler.ledger.asking import AskingLedger
from reconciler.ledger.controller_id import controller_of
from reconciler.ledger.controller_lock import Holder
from reconciler.ledger.own_file import OwnFile, refuse_other_ledger
from reconciler.ledger.replica import ReadCopy, Replica, load
from reconciler.ledger.state_directory import prepare_state_directory
from reconciler.ledger.store import Ledger
from reconciler.ledger.stored import led_by, schema_of
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
        named = self.settings.config_file
        options = () if named in (None, DEFAULT_CONFIG_FILE) else ("--config", str(named))
        return SeenPosition(self.settings.state_dir, self.store.name, shlex.join((*ACCEPT.split(), *options)))

    @property
    def name(self) -> str:
        """Of this controller."""
        return self.etcd.name or socket.gethostname()

    @property
    def own_file(self) -> OwnFile:
        return OwnFile(self.settings.state_dir)

    def refuse_other_ledger(self) -> None:
        """Raise LedgerConflict where this machine has a ledger of its own beside etcd's; and StoreUnavailable."""
        refuse_other_ledger(self.settings.state_dir, self.store, self.keys)

    def candidate(self, command: str) -> Candidate:
        """This controller, standing for the lead; raises StateError for a state directory that can't be used."""
        state_dir = prepare_state_directory(self.settings.state_dir)
        return Candidate(
            name=self.name,
            command=command,
            store=self.store,
            keys=self.keys,
            position=self.position,
            clock=self.clock,
            lease_seconds=int(self.etcd.lease_ttl),
            id=controller_of(state_dir, self.name),
            fit=self.refuse_other_ledger,
        )

    def standby(self, since: float) -> Standby:
        """What this controller tells of itself while another one leads; raises StateError."""
        controller = controller_of(prepare_state_directory(self.settings.state_dir), self.name)
        return Standby(self.name, controller, socket.gethostname(), os.getpid(), since)

    def holder(self) -> Holder | None:
        """Who leads, as a holder of the fleet; raises StoreUnavailable."""
        leader = leader_of(self.store, self.keys)
        if leader is None:
            return None
        standbys = tuple(each.name for each in standbys_of(self.store, self.keys))
        return Holder(leader.command, leader.pid, leader.since, leader.name, leader.term, standbys)

    def problems(self) -> tuple[str, ...]:
        """Why nothing of etcd is believed on this machine, if that is so and whoever looks may know."""
        fault = self._fault()
        return () if fault is None else (f"{fault.message} ({fault.hint})",)

    def went_back(self) -> bool:
        """Whether this machine does not believe etcd, or can't say what it believed; raises StoreUnavailable."""
        now = self.store.read(self.keys.leader).position
        try:
            self.position.doubt(now, self.position.newest())
        except StoreUnavailable:
            raise
        except StateError:
            return True
        return False

    def _fault(self) -> StateError | None:
        """Of which there is one at a time: what comes after it says nothing any more."""
        try:
            before = self.position.newest()
            reading = self.store.read(self.keys.leader)
            self.position.doubt(reading.position, before)
            self.refuse_other_ledger()
            self._tell_unmoved()
        except (StoreWentBack, LedgerConflict) as error:
            return error
        except StateError:
            return None  # whoever opens the ledger is told
        return None

    def _tell_unmoved(self) -> None:
        """Raise LedgerConflict where this machine has the ledger, and etcd has none yet."""
        if self.own_file.is_there and not self._holds_ledger():
            raise LedgerConflict(
                f"etcd holds no ledger of fleet {self.settings.fleet} yet, and {self.own_file.path} is not looked at",
                hint="reconciler run, or apply, on this machine moves it there; start no other controller before",
            )

    def _holds_ledger(self) -> bool:
        return bool(schema_of(self.store.read(self.keys.schema), self.keys))

    def difference_of_specs(self) -> str:
        """A sentence where this machine has other specs than the fleet is led by; raises StoreUnavailable."""
        if self.settings.specs is None:
            return ""
        return difference(own_specs(self.settings.specs), led_by(self.store, self.keys))

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
                asker = f"{account()} on {socket.gethostname()}"
                yield AskingLedger(ledger, str(result), self.store, self.keys, self.clock, asker)
            return
        try:
            self._refuse_to_begin()
            with self.working_copy(result) as ledger:
                yield ledger
                ledger.flush()
        finally:
            result.give_up()

    def export(self) -> Path:
        """Write what etcd holds into the ledger's file of this machine, which is not one of several any more.

        Raises ControllerRunning where another one leads, LedgerError where there is nothing, or already such a file.
        """
        with self.candidate("leader --export").leading() as lead:
            self._refuse_to_begin()
            with closing(load(self.store.read(self.keys.root), self.keys)[0]) as ledger:
                lead.check()
                self.own_file.put_back(ledger)
        return self.own_file.path

    def _refuse_to_begin(self) -> None:
        """Raise LedgerError where a command would make the fleet's ledger, of nothing: another machine may have it."""
        if not self.own_file.is_there and not self._holds_ledger():
            raise LedgerError(
                f"etcd at {self.store.name} holds no ledger of fleet {self.settings.fleet} yet, and this machine has"
                " none to move there",
                hint="start reconciler run first, on the machine that has the fleet's ledger, if one has",
            )


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
            return SecretStore().line(etcd.password, "ledger.etcd.password", "the configuration")
        except SecretError as error:
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

"""The ledger: what must be remembered and can't be observed, written before acting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import astuple

from reconciler.errors import PreconditionFailed
from reconciler.ledger.history import History
from reconciler.ledger.incidents import Incidents
from reconciler.ledger.ledger_view import PLACEMENTS, failure_of, placement_of, read_view
from reconciler.ledger.moves import Moves
from reconciler.ledger.records import LedgerEvent, PassRecord
from reconciler.ledger.removed_vms import RemovedVms
from reconciler.ledger.renames import RenamesLedger
from reconciler.ledger.restarts import Restarts
from reconciler.ledger.restores import Restores, RestoresLedger
from reconciler.ledger.retention import RetentionLedger
from reconciler.ledger.tombstones import TombstoneLedger, Tombstones
from reconciler.model.domain import DeletionPolicy
from reconciler.model.health import AttemptEnd, FenceAttempt, FenceProof, FenceTest, HostHealth, Incident, Machine
from reconciler.model.ledger import (
    DoomedVolume,
    Failure,
    LedgerView,
    Migration,
    MigrationProgress,
    Placement,
    RemovedVm,
)

FLEET_TARGET: Final = "fleet"


class Ledger(TombstoneLedger, RetentionLedger, RestoresLedger, RenamesLedger):
    """The ledger of one state directory; safe to use from several threads.

    Every method that writes has it on disk when it returns, history excepted, which survives a kill but not a power
    cut. Every method raises LedgerError, with a next step, for a file that is damaged, full, read-only or too new.
    """

    # -- reading ---------------------------------------------------------------------------------------------------
    def view(self) -> LedgerView:
        """Everything that a plan needs, as of one instant."""
        with self._reading() as connection:
            if connection is None:
                return LedgerView()
            return read_view(connection)

    def failure(self, key: str) -> Failure | None:
        """The recorded failure of the action `key`."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT * FROM failure WHERE key = ?", (key,)).fetchone()
        return failure_of(row) if row else None

    def placement(self, vm: str) -> Placement | None:
        """Where the VM was put; None if it never was, as far as the ledger knows."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute(f"{PLACEMENTS} WHERE vm = ?", (vm,)).fetchone()
        return placement_of(row) if row else None

    def removed(self, vm: str) -> RemovedVm | None:
        """Where the VM was put last, if it was removed and not put anywhere since."""
        with self._reading() as connection:
            return RemovedVms(connection).of(vm) if connection else None

    def has_volume_intent(self, pool: str, volume: str, host: str | None) -> bool:
        """Whether the making of the volume was begun (on any host for None) and not finished."""
        with self._reading() as connection:
            if connection is None:
                return False
            sql = "SELECT 1 FROM volume_intent WHERE pool = ? AND volume = ? AND host = coalesce(?, host)"
            return connection.execute(sql, (pool, volume, host)).fetchone() is not None

    def events(self, target: str | None = None, limit: int = 50) -> tuple[LedgerEvent, ...]:
        """The last `limit` events, of `target` (`Kind/name`) or of everything, newest first."""
        with self._reading() as connection:
            return History(connection).events(target, limit) if connection else ()

    def passes(self, limit: int = 20) -> tuple[PassRecord, ...]:
        """The last `limit` runs of equal passes, newest first."""
        with self._reading() as connection:
            return History(connection).passes(limit) if connection else ()

    # -- placements ------------------------------------------------------------------------------------------------
    def record_placement(
        self,
        vm: str,
        host: str,
        epoch: int,
        at: float,
        *,
        ran: bool = True,
        came_from: str | None = None,
        autostart: bool = False,
        marked_epoch: int | None = None,
    ) -> None:
        """Remember that `vm` is put on `host`; written before the domain is defined there.

        `ran` is false for a domain that was surely never started; for the rest see Placement. Raises
        PreconditionFailed if a higher epoch is recorded, or this one elsewhere: that copy is the true one. A migration
        that was on record is over with that: who places the VM anew knows that both of its hosts don't have it.
        """
        with self._writing() as connection:
            known = connection.execute(
                "SELECT host, epoch, deletion_policy FROM placement WHERE vm = ?", (vm,)
            ).fetchone()
            if known and (known[1] > epoch or (known[1] == epoch and known[0] != host)):
                raise PreconditionFailed(
                    f"VirtualMachine/{vm} was placed on {known[0]} with epoch {known[1]};"
                    f" epoch {epoch} on {host} would be a second copy",
                    hint="plan again",
                )
            if known and known[:2] == (host, epoch):
                connection.execute("UPDATE placement SET ran = ? WHERE vm = ?", (ran, vm))
            else:
                removed = RemovedVms(connection).of(vm)
                policy = known[2] if known else removed.deletion_policy if removed else None
                connection.execute(
                    "REPLACE INTO placement (vm, host, epoch, since, ran, came_from, autostart,"
                    " deletion_policy, marked_epoch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (vm, host, epoch, at, ran, came_from, autostart, policy, marked_epoch),
                )
                RemovedVms(connection).drop(vm)
                Moves(connection).forget(vm)
            # What it left there when it was moved away is what it has again.
            connection.execute("DELETE FROM left_volume WHERE vm = ? AND host = ?", (vm, host))

    def note_start(self, vm: str, *, again_at: float | None = None) -> None:
        """Remember that `vm` ran, and when it was started again after it had ended by itself; written before that."""
        with self._writing() as connection:
            connection.execute("UPDATE placement SET ran = 1 WHERE vm = ?", (vm,))
            Restores(connection).started(vm)
            if again_at is not None:
                Restarts(connection).add(vm, again_at)

    def note_restart(self, vm: str) -> None:
        """Remember that `vm` is stopped only to be started again; written before it is stopped."""
        with self._writing() as connection:
            connection.execute("UPDATE placement SET ran = 0 WHERE vm = ?", (vm,))

    def note_autostart(self, vm: str, *, autostart: bool) -> None:
        """Remember whether the host of `vm` starts it by itself; written before that is switched on."""
        with self._writing() as connection:
            connection.execute("UPDATE placement SET autostart = ? WHERE vm = ?", (autostart, vm))

    def note_arrival(self, vm: str) -> None:
        """Remember that `vm` was seen to run where it was put: where it was before does not matter any more."""
        with self._writing() as connection:
            connection.execute("UPDATE placement SET came_from = NULL WHERE vm = ?", (vm,))

    def note_mark(self, vm: str) -> None:
        """Remember that the mark of `vm`, which people had moved, has the epoch that is on record."""
        with self._writing() as connection:
            connection.execute("UPDATE placement SET marked_epoch = NULL WHERE vm = ?", (vm,))

    def forget_restarts(self, vm: str) -> None:
        """Count restarts of `vm` anew: we stopped it ourselves, so what was before says nothing any more."""
        with self._writing() as connection:
            Restarts(connection).forget(vm)

    def note_deletion_policies(self, policies: Mapping[str, DeletionPolicy]) -> None:
        """Remember what the specs say about the disks of placed VMs; written whenever that is read anew."""
        rows = [(policy, vm) for vm, policy in policies.items()]
        with self._writing() as connection:
            connection.executemany("UPDATE placement SET deletion_policy = ? WHERE vm = ?", rows)

    def forget_placement(self, vm: str, host: str | None = None) -> None:
        """Take `vm` for removed; only if it was put on `host`, where one is named. Written after the domain is gone."""
        with self._writing() as connection:
            RemovedVms(connection).add(vm, host)
            gone = connection.execute("DELETE FROM placement WHERE vm = ? AND host = coalesce(?, host)", (vm, host))
            if gone.rowcount:
                Restarts(connection).forget(vm)

    def note_host_read(self, seconds: Mapping[str, float]) -> None:
        """Remember that these hosts were read, and in how many seconds: 'no placement' is now knowledge about them."""
        with self._writing() as connection:
            connection.executemany("REPLACE INTO host_read (host, seconds) VALUES (?, ?)", tuple(seconds.items()))

    def forget_hosts_read(self) -> None:
        """Take no host for known any more: this ledger is an old copy, and there may be VMs that it has missed."""
        with self._writing() as connection:
            connection.execute("DELETE FROM host_read")

    # -- migrations ------------------------------------------------------------------------------------------------
    def begin_migration(self, move: Migration) -> None:
        """Remember that a VM may be at the target from now on; written before libvirt is asked to begin.

        Raises PreconditionFailed beside another migration of it.
        """
        with self._writing() as connection:
            Moves(connection).begin(move)

    def migration(self, vm: str) -> Migration | None:
        """The migration of the VM that is not known to have come to an end."""
        with self._reading() as connection:
            return Moves(connection).of(vm) if connection else None

    def note_migration_progress(self, vm: str, progress: MigrationProgress) -> None:
        """Remember how far the migration is, for whoever looks."""
        with self._writing(durable=False) as connection:
            Moves(connection).note_progress(vm, progress)

    def note_arrived(self, move: Migration, at: float) -> None:
        """The VM is at the target: that is its placement, and its local disks at the source are left behind."""
        with self._writing() as connection:
            Moves(connection).arrived(move, at)

    def note_stayed(self, move: Migration, *, is_target_unseen: bool = False, outran_at: float | None = None) -> None:
        """The VM is at the source still, and surely not at the target.

        With `is_target_unseen` that is so because the target is dead: what may come back with it is outdated.
        `outran_at` is as of Placement.
        """
        with self._writing() as connection:
            Moves(connection).stayed(move, is_target_unseen=is_target_unseen, outran_at=outran_at)

    # -- volumes ---------------------------------------------------------------------------------------------------
    def begin_volume(self, pool: str, volume: str, host: str) -> None:
        """Remember that the volume is being made and may be partial; written before it is created."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO volume_intent VALUES (?, ?, ?)", (pool, volume, host))

    def finish_volume(self, pool: str, volume: str, host: str | None = None) -> None:
        """Remember that the volume is complete, or gone; on every host for None, as in a shared pool."""
        with self._writing() as connection:
            for table in ("volume_intent", "doomed_volume", "left_volume", "restoring"):
                connection.execute(
                    f"DELETE FROM {table} WHERE pool = ? AND volume = ? AND host = coalesce(?, host)",  # noqa: S608  # ours
                    (pool, volume, host),
                )
            Tombstones(connection).drop(((pool, volume, host),))

    def note_in_use(self, host: str, volumes: Iterable[str]) -> None:
        """Remember that a domain which is `host`'s own has these volumes: whoever made them, they are complete."""
        with self._writing() as connection:
            connection.executemany(
                "DELETE FROM volume_intent WHERE host = ? AND volume = ?", [(host, name) for name in volumes]
            )

    def doom_volumes(self, vm: str, volumes: Iterable[DoomedVolume]) -> None:
        """Remember that exactly these volumes of `vm` are to be deleted; written before its domain is undefined."""
        with self._writing() as connection:
            connection.execute("DELETE FROM doomed_volume WHERE vm = ?", (vm,))
            connection.executemany(
                "INSERT OR IGNORE INTO doomed_volume VALUES (?, ?, ?, ?)", [astuple(volume) for volume in volumes]
            )

    # -- failures --------------------------------------------------------------------------------------------------
    def record_failure(self, failure: Failure) -> None:
        """Remember a failed action and when it may be tried again; replaces what was known of it."""
        with self._writing(durable=False) as connection:
            connection.execute("REPLACE INTO failure VALUES (?, ?, ?, ?, ?, ?)", astuple(failure))

    def clear_failure(self, key: str) -> None:
        """Forget that the action `key` failed."""
        with self._writing(durable=False) as connection:
            connection.execute("DELETE FROM failure WHERE key = ?", (key,))

    def forget_failures_except(
        self, keys: Iterable[str], *, on_hosts: Iterable[str] = (), of: Iterable[str] = ()
    ) -> None:
        """Forget failures of actions that no plan wants any more.

        Kept are those of `keys`, all of `on_hosts`, such as hosts out of sight, for which nothing can be planned, and
        all of the objects `of` (`Kind/name`), such as those that were being worked on while the plan was made.
        """
        kept, hosts, objects = frozenset(keys), frozenset(on_hosts), frozenset(of)
        with self._writing(durable=False) as connection:
            known = [str(row[0]) for row in connection.execute("SELECT key FROM failure")]
            gone = [key for key in known if key not in kept and key.rpartition("@")[2] not in hosts]
            unwanted = [key for key in gone if _object_of(key) not in objects]
            connection.executemany("DELETE FROM failure WHERE key = ?", [(key,) for key in unwanted])

    # -- pauses ----------------------------------------------------------------------------------------------------
    def pause(self, target: str = FLEET_TARGET) -> None:
        """Hold all changes of `target` (`Kind/name`, or `fleet` for everything)."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO paused VALUES (?)", (target,))

    def resume(self, target: str = FLEET_TARGET) -> bool:
        """Let changes of `target` go on, a VM's restarts too; return whether they were held."""
        with self._writing() as connection:
            restarts = Restarts(connection).forget(target.partition("VirtualMachine/")[2])
            return connection.execute("DELETE FROM paused WHERE target = ?", (target,)).rowcount > 0 or restarts

    # -- lost hosts ------------------------------------------------------------------------------------------------
    def record_health(self, *verdicts: HostHealth) -> None:
        """Remember what hosts are taken for; written when that changes."""
        with self._writing(durable=False) as connection:
            Incidents(connection).put_health(verdicts)

    def open_incident(self, incident: Incident) -> None:
        """Remember that a host was lost; the same one again changes nothing. PreconditionFailed beside another."""
        with self._writing() as connection:
            Incidents(connection).open(incident)

    def note_return(self, host: str, at: float) -> None:
        """Remember that a lost host answers again: what was proven of it holds no more. The first time stands."""
        with self._writing() as connection:
            Incidents(connection).note_return(host, at)

    def close_incident(self, host: str, at: float) -> None:
        """Remember that the host is back and clean, or that its silence is another one now; none open is fine."""
        with self._writing() as connection:
            Incidents(connection).close(host, at)

    def record_proof(self, proof: FenceProof) -> None:
        """Remember that a host is proven dead; where a proof stands already, that one stands.

        Raises PreconditionFailed unless it is for the host's open incident and the host has not answered since.
        """
        with self._writing() as connection:
            Incidents(connection).put_proof(proof)

    def proof(self, host: str) -> FenceProof | None:
        """The proof that the host is dead now: of its open incident, in which it has not answered again."""
        with self._reading() as connection:
            return Incidents(connection).proof(host) if connection else None

    def incident(self, host: str) -> Incident | None:
        """The host's open incident."""
        with self._reading() as connection:
            return Incidents(connection).open_incidents().get(host) if connection else None

    def begin_attempt(self, host: str, incident: str, level: int, agent: str, at: float) -> int:
        """Remember that a fence device is about to be told; return the attempt's number."""
        with self._writing() as connection:
            return Incidents(connection).begin_attempt(host, incident, level, agent, at)

    def end_attempt(self, attempt: int, end: AttemptEnd, message: str, at: float) -> None:
        """Remember how the attempt ended; one that has ended already stays as it is."""
        with self._writing() as connection:
            Incidents(connection).end_attempt(attempt, end, message, at)

    def cut_off_attempts(self, at: float) -> int:
        """End, as cut off, what a controller that died left open; return how many. Only for who has control."""
        with self._writing() as connection:
            return Incidents(connection).cut_off_attempts(at)

    def attempts(self, host: str, limit: int = 20) -> tuple[FenceAttempt, ...]:
        """The last `limit` attempts to fence the host, newest first."""
        with self._reading() as connection:
            return Incidents(connection).attempts(host, limit) if connection else ()

    def record_fence_test(self, test: FenceTest) -> None:
        """Remember the last test of the host's devices."""
        with self._writing() as connection:
            Incidents(connection).put_fence_test(test)

    def record_machines(self, *machines: Machine) -> None:
        """Remember which machines go by the names of hosts, and where they answer."""
        with self._writing() as connection:
            Incidents(connection).put_machines(machines)

    def host_identities(self) -> dict[str, str]:
        """UUID of the machine by host."""
        with self._reading() as connection:
            return Incidents(connection).identities() if connection else {}

    def forget_hosts_except(self, hosts: Iterable[str]) -> None:
        """Forget hosts that left the specs; under the same name a new machine may come."""
        with self._writing() as connection:
            Incidents(connection).forget_hosts_except(frozenset(hosts))

    # -- guests ----------------------------------------------------------------------------------------------------
    def record_silent_guests(self, silent: Mapping[str, float]) -> None:
        """Remember whose guests don't answer, and since when; all others do, or are not asked."""
        with self._writing(durable=False) as connection:
            connection.execute("DELETE FROM silent_guest")
            connection.executemany("INSERT INTO silent_guest VALUES (?, ?)", tuple(silent.items()))

    # -- history ---------------------------------------------------------------------------------------------------
    def record_event(self, event: LedgerEvent) -> None:
        """Add to the history; the oldest are dropped beyond 10,000."""
        with self._writing(durable=False) as connection:
            History(connection).add_event(event)

    def record_pass(self, pass_id: str, generation: str, fingerprint: str, at: float) -> None:
        """Add a pass to the history; one that decided the same as the last only counts up."""
        with self._writing(durable=False) as connection:
            History(connection).add_pass(pass_id, generation, fingerprint, at)


def _object_of(key: str) -> str:
    """`Kind/name` of an action's id, such as `start-domain:VirtualMachine/web@h1`."""
    return key.partition(":")[2].partition("@")[0].partition(":")[0]

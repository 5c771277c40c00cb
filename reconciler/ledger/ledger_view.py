"""What a plan needs of the ledger, read in one go."""

from __future__ import annotations

import sqlite3
from typing import Final

from reconciler.ledger.captures import Captures
from reconciler.ledger.disruptions import read_disruptions
from reconciler.ledger.drills import read_drills
from reconciler.ledger.history import History
from reconciler.ledger.incidents import Incidents
from reconciler.ledger.moves import Moves
from reconciler.ledger.removed_vms import RemovedVms
from reconciler.ledger.renames import read_awaited
from reconciler.ledger.restarts import Restarts
from reconciler.ledger.restores import Restores
from reconciler.ledger.retention import Schedules
from reconciler.ledger.tombstones import Tombstones
from reconciler.model.domain import DeletionPolicy
from reconciler.model.ledger import DoomedVolume, Failure, LedgerView, Placement, VolumeIntent

PLACEMENTS: Final = (
    "SELECT vm, host, epoch, since, ran, came_from, autostart, deletion_policy, marked_epoch, drained_from,"
    " outran_at"
    " FROM placement"
)


def read_view(connection: sqlite3.Connection) -> LedgerView:
    """Everything that is on record, within the transaction of `connection`."""

    def rows(sql: str) -> list[tuple[str, ...]]:
        return connection.execute(sql).fetchall()

    placements = [placement_of(row) for row in connection.execute(PLACEMENTS)]
    failures = [failure_of(row) for row in connection.execute("SELECT * FROM failure")]
    lost = Incidents(connection)
    moves = Moves(connection)
    tombstones = Tombstones(connection)
    counted = tombstones.counted()
    captures = Captures(connection)
    restores = Restores(connection)
    read = {host: float(seconds) for host, seconds in rows("SELECT host, seconds FROM host_read")}
    return LedgerView(
        placements={placement.vm: placement for placement in placements},
        removed=RemovedVms(connection).by_vm(),
        hosts_read=frozenset(read),
        read_seconds=read,
        failures={failure.key: failure for failure in failures},
        intents=frozenset(VolumeIntent(*row) for row in rows("SELECT pool, volume, host FROM volume_intent")),
        doomed=frozenset(DoomedVolume(*row) for row in rows("SELECT vm, pool, volume, host FROM doomed_volume")),
        paused=frozenset(row[0] for row in rows("SELECT target FROM paused")),
        restarts=Restarts(connection).by_vm(),
        silent_guests={vm: float(since) for vm, since in rows("SELECT vm, since FROM silent_guest")},
        health=lost.health(),
        incidents=lost.open_incidents(),
        proofs=lost.proofs(),
        fence_tests=lost.fence_tests(),
        identities=lost.identities(),
        addresses=lost.addresses(),
        migrations=moves.by_vm(),
        left_behind=moves.left_behind(),
        disk_volumes=restores.disk_volumes(),
        restores=restores.done(),
        restoring=restores.under_way(),
        ran_twice=History(connection).ran_twice(),
        tombstones=tombstones.all(),
        accepted_deletions=tombstones.accepted(),
        counted=counted.seconds if counted is not None else 0.0,
        versions=captures.versions(),
        captures=captures.under_way(),
        capture_requests=captures.requests(),
        scheduled=Schedules(connection).scheduled(),
        removals=Schedules(connection).removals(),
        drills=read_drills(connection),
        awaited=read_awaited(connection),
        disruptions=read_disruptions(connection),
    )


def placement_of(
    row: tuple[str, str, int, float, int, str | None, int, DeletionPolicy | None, int | None, str | None, float | None],
) -> Placement:
    """Of a row as PLACEMENTS gives it."""
    vm, host, epoch, since, ran, came_from, autostart, policy, marked, drained, outran = row
    return Placement(vm, host, epoch, since, bool(ran), came_from, bool(autostart), policy, marked, drained, outran)


def failure_of(row: tuple[str, int, str, int, float, str]) -> Failure:
    """Of a whole row of `failure`."""
    key, attempts, message, permanent, not_before, inputs = row
    return Failure(key, attempts, message, bool(permanent), not_before, inputs)

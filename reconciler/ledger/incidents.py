"""What the ledger holds of lost hosts: health, incidents, proofs, attempts, tests and identities."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from msgspec.structs import astuple

from reconciler.errors import PreconditionFailed
from reconciler.model.health import (
    AttemptEnd,
    FenceAttempt,
    FenceProof,
    FenceTest,
    HostHealth,
    Incident,
    Machine,
)

ATTEMPTS_KEPT: Final = 1_000
INCIDENTS_KEPT: Final = 1_000
_INCIDENT: Final = "SELECT id, host, opened, last_seen, suspect_at, unreachable_at, returned_at FROM incident"
# A proof is worth nothing once the host has answered again: it may run anything since.
_PROOFS: Final = """
    SELECT proof.host, incident, kind, at, evidence, by FROM fence_proof proof
    JOIN incident ON incident.id = proof.incident AND incident.host = proof.host
    WHERE closed_at IS NULL AND returned_at IS NULL"""


class Incidents:
    """Lost hosts in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # -- reading ---------------------------------------------------------------------------------------------------
    def health(self) -> dict[str, HostHealth]:
        rows = self._connection.execute("SELECT host, state, rule, sentence, since, last_seen FROM host_health")
        return {row[0]: HostHealth(*row) for row in rows}

    def open_incidents(self) -> dict[str, Incident]:
        rows = self._connection.execute(f"{_INCIDENT} WHERE closed_at IS NULL")
        return {row[1]: Incident(*row) for row in rows}

    def proofs(self) -> dict[str, FenceProof]:
        return {row[0]: FenceProof(*row) for row in self._connection.execute(_PROOFS)}

    def proof(self, host: str) -> FenceProof | None:
        row = self._connection.execute(f"{_PROOFS} AND proof.host = ?", (host,)).fetchone()
        return FenceProof(*row) if row else None

    def fence_tests(self) -> dict[str, FenceTest]:
        rows = self._connection.execute("SELECT host, at, passed, devices, message FROM fence_test")
        return {
            host: FenceTest(host, at, bool(passed), devices, message) for host, at, passed, devices, message in rows
        }

    def attempts(self, host: str, limit: int) -> tuple[FenceAttempt, ...]:
        rows = self._connection.execute(
            "SELECT id, host, incident, level, agent, began, ended, ending, message FROM fence_attempt"
            " WHERE host = ? ORDER BY id DESC LIMIT ?",
            (host, limit),
        )
        return tuple(FenceAttempt(*row) for row in rows)

    def identities(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT host, uuid FROM host_identity"))

    # -- health and incidents --------------------------------------------------------------------------------------
    def put_health(self, verdicts: Iterable[HostHealth]) -> None:
        rows = [astuple(verdict) for verdict in verdicts]
        self._connection.executemany("REPLACE INTO host_health VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget_hosts_except(self, hosts: frozenset[str]) -> None:
        for table in ("host_health", "fence_test", "host_identity"):
            known = [str(row[0]) for row in self._connection.execute(f"SELECT host FROM {table}")]  # noqa: S608  # ours
            gone = [(host,) for host in known if host not in hosts]
            self._connection.executemany(f"DELETE FROM {table} WHERE host = ?", gone)  # noqa: S608  # ours

    def open(self, incident: Incident) -> None:
        known = self.open_incidents().get(incident.host)
        if known is not None and known.id != incident.id:
            raise PreconditionFailed(
                f"Host/{incident.host} has incident {known.id} open already", hint="close that one first"
            )
        self._connection.execute("INSERT OR IGNORE INTO incident VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", astuple(incident))

    def note_return(self, host: str, at: float) -> None:
        self._connection.execute(
            "UPDATE incident SET returned_at = ? WHERE host = ? AND closed_at IS NULL AND returned_at IS NULL",
            (at, host),
        )

    def close(self, host: str, at: float) -> None:
        self._connection.execute("UPDATE incident SET closed_at = ? WHERE host = ? AND closed_at IS NULL", (at, host))
        self._forget_old()

    def _forget_old(self) -> None:
        old = self._connection.execute(
            "SELECT id FROM incident WHERE closed_at IS NOT NULL ORDER BY opened DESC LIMIT -1 OFFSET ?",
            (INCIDENTS_KEPT,),
        ).fetchall()
        self._connection.executemany("DELETE FROM fence_proof WHERE incident = ?", old)
        self._connection.executemany("DELETE FROM incident WHERE id = ?", old)

    # -- proofs and attempts ---------------------------------------------------------------------------------------
    def put_proof(self, proof: FenceProof) -> None:
        incident = self.open_incidents().get(proof.host)
        if incident is None or incident.id != proof.incident or incident.returned_at is not None:
            raise PreconditionFailed(
                f"Host/{proof.host}: {_why_no_proof(incident, proof)}, so the proof proves nothing",
                hint=f"reconciler why host/{proof.host}",
            )
        # The first one stands: VMs may run elsewhere by it already.
        self._connection.execute(
            "INSERT OR IGNORE INTO fence_proof (host, incident, kind, at, evidence, by) VALUES (?, ?, ?, ?, ?, ?)",
            astuple(proof),
        )

    def begin_attempt(self, host: str, incident: str, level: int, agent: str, at: float) -> int:
        cursor = self._connection.execute(
            "INSERT INTO fence_attempt (host, incident, level, agent, began) VALUES (?, ?, ?, ?, ?)",
            (host, incident, level, agent, at),
        )
        number = cursor.lastrowid or 0
        self._connection.execute("DELETE FROM fence_attempt WHERE id <= ?", (number - ATTEMPTS_KEPT,))
        return number

    def end_attempt(self, attempt: int, end: AttemptEnd, message: str, at: float) -> None:
        self._connection.execute(
            "UPDATE fence_attempt SET ended = ?, ending = ?, message = ? WHERE id = ? AND ended IS NULL",
            (at, end, message, attempt),
        )

    def cut_off_attempts(self, at: float) -> int:
        cut: AttemptEnd = "cut-off"
        return self._connection.execute(
            "UPDATE fence_attempt SET ended = ?, ending = ?, message = ? WHERE ended IS NULL",
            (at, cut, "the controller ended during it: how it went is not known"),
        ).rowcount

    def put_fence_test(self, test: FenceTest) -> None:
        self._connection.execute("REPLACE INTO fence_test VALUES (?, ?, ?, ?, ?)", astuple(test))

    def addresses(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT host, uri FROM host_identity WHERE uri != ''"))

    def put_machines(self, machines: Iterable[Machine]) -> None:
        rows = [astuple(machine) for machine in machines]
        self._connection.executemany("REPLACE INTO host_identity (host, uuid, uri) VALUES (?, ?, ?)", rows)


def _why_no_proof(incident: Incident | None, proof: FenceProof) -> str:
    if incident is None:
        return "no incident is open"
    if incident.id != proof.incident:
        return f"the open incident is {incident.id}, not {proof.incident}"
    return "it has answered again since"

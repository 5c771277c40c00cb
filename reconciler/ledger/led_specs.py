"""By which specs the fleet was led, where several controllers share a ledger; and what is in doubt of the leader's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from reconciler.errors import PreconditionFailed
from reconciler.ledger.ledger_file import LedgerFile
from reconciler.model.next_command import ACCEPT_SPECS

_COLUMNS: Final = "generation, content, controller, doubted, doubted_content, doubted_by, restraints"


_VOID: Final = (
    "UPDATE fence_test SET passed = 0, message = 'the specs have had other devices since' WHERE host = ? AND passed = 1"
)
"""Kept as a record: older specs that come to lead have the devices of that test."""


class LedSpecs(Struct, frozen=True):
    """The one row of it. Generations are as `generation_of` names them, contents hashes of the files alone."""

    generation: str
    """What the fleet was led by last, beyond doubt."""
    content: str
    """Empty where it was not recorded."""
    controller: str
    """Whose specs they were: its name, and after a slash the id of its state directory."""
    doubted: str = ""
    """Of who leads, or led since, by specs that are not known to be newer; empty if nobody does."""
    doubted_content: str = ""
    doubted_by: str = ""
    restraints: str = ""
    """Of what the fleet was led by, as JSON; empty where they were not recorded."""

    @property
    def name(self) -> str:
        """The controller as people know it."""
        return _name(self.controller)

    @property
    def doubted_name(self) -> str:
        return _name(self.doubted_by)


def _name(controller: str) -> str:
    return controller.rpartition("/")[0] or "another controller"


def doubt_of(led: LedSpecs) -> str:
    """Of a leader in doubt, for whoever has other specs."""
    return (
        f"the specs that {led.doubted_name} leads by ({led.doubted[:20]}) are not known to be newer than those that"
        f" {led.name} led by ({led.generation[:20]}): the fleet is only kept running"
    )


def told_of(led: LedSpecs) -> str:
    """The same, with what settles it."""
    return f"{doubt_of(led)} (if they are right: {ACCEPT_SPECS}; else bring them to those)"


class SpecsLedger(LedgerFile):
    """The part of the ledger that has it."""

    def led_specs(self) -> LedSpecs | None:
        """None where nobody has led yet."""
        with self._reading() as connection:
            return read_led_specs(connection) if connection else None

    def note_led_specs(self, led: LedSpecs, others: Iterable[str] = ()) -> None:
        """Written before anything is done by specs; what was tested of hosts that have other devices now is void."""
        with self._writing() as connection:
            connection.executemany(_VOID, [(host,) for host in others])
            _write(connection, led)

    def accept_specs(self, generation: str) -> None:
        """Take the specs in doubt for the right ones, by a human's word; raises PreconditionFailed for others."""
        with self._writing() as connection:
            led = read_led_specs(connection)
            if led is None or not led.doubted or led.doubted != generation:
                now = led.doubted[:20] if led is not None and led.doubted else "none"
                raise PreconditionFailed(
                    f"specs {generation[:20]} are not in doubt (in doubt: {now})", hint="look again: reconciler leader"
                )
            _write(connection, LedSpecs(led.doubted, led.doubted_content, led.doubted_by))


def led_from_here(connection: sqlite3.Connection, controller: str) -> None:
    """Of a ledger that becomes a shared one: nobody but `controller` has led by it, and by what its last pass tells."""
    last = connection.execute("SELECT generation FROM pass ORDER BY id DESC LIMIT 1").fetchone()
    if last:
        _write(connection, LedSpecs(last[0], "", controller))


def read_led_specs(connection: sqlite3.Connection) -> LedSpecs | None:
    """Within a transaction of `connection`."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM led_specs").fetchone()  # noqa: S608  # our own schema
    return LedSpecs(*row) if row else None


def _write(connection: sqlite3.Connection, led: LedSpecs) -> None:
    sql = f"REPLACE INTO led_specs (one, {_COLUMNS}) VALUES (1, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # our own schema
    connection.execute(sql, astuple(led))

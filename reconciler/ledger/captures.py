"""Versions of captured images: those that are complete, those that are being made, those that people asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from reconciler.errors import PreconditionFailed
from reconciler.ledger.led_specs import SpecsLedger
from reconciler.model.capture_steps import CaptureImage
from reconciler.model.ledger import Capture, CapturePhase
from reconciler.model.version import Consistency, ImageVersion

_CAPTURES: Final = "SELECT image, since, step, why, phase, taken_at, consistency, done, total, cancelled FROM capture"


class Captures:
    """Versions and captures in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def versions(self) -> dict[str, tuple[ImageVersion, ...]]:
        """By image, oldest first."""
        found: dict[str, list[ImageVersion]] = {}
        for image, content in self._connection.execute("SELECT image, content FROM version ORDER BY image, stamp"):
            found.setdefault(image, []).append(msgspec.json.decode(content, type=ImageVersion))
        return {image: tuple(versions) for image, versions in found.items()}

    def put_version(self, version: ImageVersion) -> None:
        self._connection.execute(
            "REPLACE INTO version VALUES (?, ?, ?)",
            (version.image, version.stamp, msgspec.json.encode(version).decode()),
        )

    def drop_version(self, image: str, stamp: str) -> None:
        self._connection.execute("DELETE FROM version WHERE image = ? AND stamp = ?", (image, stamp))

    def under_way(self) -> dict[str, Capture]:
        return {row[0]: _capture(row) for row in self._connection.execute(_CAPTURES)}

    def of(self, image: str) -> Capture | None:
        row = self._connection.execute(f"{_CAPTURES} WHERE image = ?", (image,)).fetchone()
        return _capture(row) if row else None

    def begin(self, capture: Capture) -> None:
        run = self._connection.execute
        known = run("SELECT image FROM capture WHERE image = ? OR vm = ?", (capture.image, capture.vm)).fetchone()
        if known is not None:
            raise PreconditionFailed(
                f"VirtualMachine/{capture.vm}: Image/{known[0]} is being captured already", hint="plan again"
            )
        if run("SELECT 1 FROM migration WHERE vm = ?", (capture.vm,)).fetchone() is not None:
            raise PreconditionFailed(f"VirtualMachine/{capture.vm} is on its way to another host", hint="plan again")
        step = msgspec.json.encode(capture.step).decode()
        run(
            "INSERT INTO capture VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0)",
            (
                *(capture.image, capture.vm, capture.since, step, capture.why, capture.phase),
                *(capture.taken_at, capture.consistency),
            ),
        )

    def requests(self) -> dict[str, float]:
        return dict(self._connection.execute("SELECT image, at FROM capture_request").fetchall())


class CapturesLedger(SpecsLedger):
    """The part of the ledger that has them."""

    def begin_capture(self, capture: Capture) -> None:
        """Remember that a version is being made; written before anything of it is.

        Raises PreconditionFailed beside another one of the image or its VM, and beside a migration of that.
        """
        with self._writing() as connection:
            Captures(connection).begin(capture)

    def capture(self, image: str) -> Capture | None:
        """The version of the image that is being made."""
        with self._reading() as connection:
            return Captures(connection).of(image) if connection else None

    def note_capture_phase(
        self, image: str, phase: CapturePhase, *, taken_at: float | None = None, consistency: Consistency | None = None
    ) -> None:
        """Remember what is done next, written before it is; what is not given stays as it was."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE capture SET phase = ?, taken_at = coalesce(?, taken_at),"
                " consistency = coalesce(?, consistency), done = 0, total = 0 WHERE image = ?",
                (phase, taken_at, consistency, image),
            )

    def note_capture_progress(self, image: str, done: int, total: int) -> None:
        """Remember how far it is, for whoever looks; bytes."""
        with self._writing(durable=False) as connection:
            connection.execute("UPDATE capture SET done = ?, total = ? WHERE image = ?", (done, total, image))

    def end_capture(self, image: str, version: ImageVersion | None) -> None:
        """Remember the version, which is complete; None where nothing is left of what was begun."""
        with self._writing() as connection:
            if version is not None:
                Captures(connection).put_version(version)
                # Asked for after the guest stood still is asked for anew.
                connection.execute("DELETE FROM capture_request WHERE image = ? AND at <= ?", (image, version.taken_at))
            connection.execute("DELETE FROM capture WHERE image = ?", (image,))

    def note_versions(self, versions: Iterable[ImageVersion]) -> None:
        """Remember versions whose manifests were read."""
        with self._writing() as connection:
            for version in versions:
                Captures(connection).put_version(version)

    def forget_version(self, image: str, stamp: str) -> None:
        """The version is no more: its manifest is gone."""
        with self._writing() as connection:
            Captures(connection).drop_version(image, stamp)

    def request_capture(self, image: str, at: float) -> None:
        """Remember that people want a version now; wall time in seconds."""
        with self._writing() as connection:
            connection.execute("REPLACE INTO capture_request VALUES (?, ?)", (image, at))

    def cancel_capture(self, image: str) -> bool:
        """Have what is being made of it given up, and forget what was asked for; whether there was any."""
        with self._writing() as connection:
            asked = connection.execute("DELETE FROM capture_request WHERE image = ?", (image,)).rowcount > 0
            begun = connection.execute("UPDATE capture SET cancelled = 1 WHERE image = ?", (image,)).rowcount > 0
            return asked or begun


def _capture(row: Any) -> Capture:
    image, since, step, why, phase, taken_at, consistency, done, total, cancelled = row
    return Capture(
        image=image,
        since=since,
        step=msgspec.json.decode(step, type=CaptureImage),
        why=why,
        phase=phase,
        taken_at=taken_at,
        consistency=consistency,
        done=done,
        total=total,
        cancelled=bool(cancelled),
    )

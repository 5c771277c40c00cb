"""Which instants of a schedule had their capture, and which versions are to go."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec.structs import replace

from reconciler.errors import PreconditionFailed
from reconciler.ledger.captures import Captures, CapturesLedger
from reconciler.model.ledger import VersionRemoval
from reconciler.model.version import ImageVersion


class Schedules:
    """Both in an open transaction of `connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def scheduled(self) -> dict[str, float]:
        """By image: the newest instant that had its capture; wall time in seconds."""
        return dict(self._connection.execute("SELECT image, due FROM scheduled_capture").fetchall())

    def removals(self) -> frozenset[VersionRemoval]:
        rows = self._connection.execute("SELECT image, stamp, at, content FROM version_removal")
        return frozenset(
            VersionRemoval(image, stamp, at, msgspec.json.decode(content, type=ImageVersion) if content else None)
            for image, stamp, at, content in rows
        )

    def ask_removal(self, image: str, stamp: str, at: float) -> None:
        self._connection.execute("INSERT OR IGNORE INTO version_removal VALUES (?, ?, ?, NULL)", (image, stamp, at))

    def begin_removal(self, version: ImageVersion, at: float) -> None:
        self._connection.execute(
            "REPLACE INTO version_removal VALUES (?, ?, ?, ?)",
            (version.image, version.stamp, at, msgspec.json.encode(version).decode()),
        )

    def end_removal(self, image: str, stamp: str) -> None:
        self._connection.execute("DELETE FROM version_removal WHERE image = ? AND stamp = ?", (image, stamp))


class RetentionLedger(CapturesLedger):
    """The part of the ledger that has them."""

    def note_scheduled(self, image: str, due: float) -> None:
        """Remember that the instant `due` of the image's schedule had its capture, whatever came of it."""
        with self._writing() as connection:
            connection.execute("REPLACE INTO scheduled_capture VALUES (?, ?)", (image, due))

    def forget_checkpoint(self, image: str, stamp: str | None) -> None:
        """Remember that nothing can go on from the version: what changed since was not kept track of."""
        with self._writing() as connection:
            captures = Captures(connection)
            for version in captures.versions().get(image, ()):
                if version.stamp == stamp:
                    captures.put_version(replace(version, checkpoint=""))

    def request_removal(self, image: str, stamp: str, at: float) -> None:
        """Remember that people want the version to go; wall time in seconds."""
        with self._writing() as connection:
            Schedules(connection).ask_removal(image, stamp, at)

    def begin_removal(self, image: str, stamp: str, at: float) -> None:
        """Remember that the version is none any more; written before anything of it is deleted.

        Raises PreconditionFailed where another version, or one that is being made, holds the difference to it.
        """
        with self._writing() as connection:
            captures, schedules = Captures(connection), Schedules(connection)
            under_way = captures.of(image)
            if under_way is not None and under_way.step.parent == stamp:
                raise PreconditionFailed(
                    f"Image/{image}: the version that is being made rests on the one to be deleted", hint="plan again"
                )
            versions = captures.versions().get(image, ())
            child = next((each for each in versions if each.parent == stamp), None)
            if child is not None:
                raise PreconditionFailed(
                    f"Image/{image}: {child.name} rests on the version to be deleted", hint="plan again"
                )
            for version in versions:
                if version.stamp == stamp:
                    schedules.begin_removal(version, at)
                    captures.drop_version(image, stamp)

    def end_removal(self, image: str, stamp: str) -> None:
        """Remember that nothing is left of the version."""
        with self._writing() as connection:
            Captures(connection).drop_version(image, stamp)
            Schedules(connection).end_removal(image, stamp)

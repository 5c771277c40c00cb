"""What this controller has seen of etcd, so that one that was put back from an old backup is noticed."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from reconciler.errors import StateError, StoreWentBack
from reconciler.leadership.store import Position
from reconciler.model.ledger_store import POSITION_FILE
from reconciler.private_files import open_private

ACCEPT: Final = "reconciler leader --accept-store"
"""The command that lifts the freeze."""


class _Seen(Struct, frozen=True):
    newest: Position
    went_back_to: Position | None = None
    """Where the store was found instead; nothing is believed of it until a human says so."""


class SeenPosition:
    """The newest position that was seen, in a file of the state directory; safe to use from several threads."""

    def __init__(self, state_dir: Path, store_name: str, accept: str = ACCEPT) -> None:
        self._path = state_dir / POSITION_FILE
        self._store = store_name
        self._accept = accept
        self._lock = threading.Lock()

    def newest(self) -> Position | None:
        """To be asked before a question is sent: its answer can't be older. None where no store was ever seen.

        Raises StoreWentBack where it was found put back and nobody has accepted that, StateError for a broken file.
        """
        with self._lock:
            return self._newest()

    def advance(self, now: Position, before: Position | None) -> None:
        """Take note of where the store is, asked when the newest was `before`; raises StoreWentBack."""
        with self._lock:
            newest = self._newest()
            if before is not None and _went_back(before, now):
                self._write(_Seen(newest or before, went_back_to=now))
            self.doubt(now, before)
            if newest is None or now.revision > newest.revision:
                self._write(_Seen(now))

    def doubt(self, now: Position, before: Position | None) -> None:
        """Raise StoreWentBack as `advance` would, and take note of nothing."""
        if before is not None and _went_back(before, now):
            raise self._not_believed(before, now)

    def accept(self, now: Position) -> None:
        """Believe the store as it is, by a human's word."""
        with self._lock:
            self._write(_Seen(now))

    def _newest(self) -> Position | None:
        try:
            seen = msgspec.json.decode(self._path.read_bytes(), type=_Seen)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StateError(
                f"{self._path} can't be read, so nobody knows whether etcd was put back: {error}",
                hint=f"make it readable, or, if etcd at {self._store} surely is as it was, run: {self._accept}",
            ) from error
        if seen.went_back_to is not None:
            raise self._not_believed(seen.newest, seen.went_back_to)
        return seen.newest

    def _not_believed(self, seen: Position, now: Position) -> StoreWentBack:
        return StoreWentBack(
            f"etcd at {self._store} is not what it was: {_difference(seen, now)}; it was restored from a backup or"
            " replaced, so it lacks what was decided since, and nothing is changed",
            hint="put its newest state back, if there is one; then, once no host is out of sight, accept it as it is,"
            f" on each controller's machine: {self._accept}",
        )

    def _write(self, seen: _Seen) -> None:
        aside = self._path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        try:
            with os.fdopen(open_private(aside), "wb") as file:
                file.write(msgspec.json.encode(seen))
            aside.replace(self._path)
        except OSError as error:
            raise StateError(
                f"{self._path} can't be written: {error.strerror}", hint=f"make {self._path.parent} writable"
            ) from error


def _went_back(seen: Position, now: Position) -> bool:
    return seen.cluster != now.cluster or now.revision < seen.revision


def _difference(seen: Position, now: Position) -> str:
    if seen.cluster != now.cluster:
        return f"it was cluster {seen.cluster}, and is {now.cluster}"
    return f"its revision was {seen.revision}, and is {now.revision}"

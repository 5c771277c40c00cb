"""One controller at a time per state directory, held by the kernel: it is released however the process ends."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.errors import ControllerRunning, StateError
from reconciler.ledger.state_directory import next_step, prepare_state_directory
from reconciler.private_files import open_private

LOCK_FILE: Final = "controller.lock"
_ATTEMPTS: Final = 10
_PAUSE: Final = 0.05
"""Seconds between attempts: whoever only asks who controls holds the lock for far less."""


class ControllerLock:
    """Hold the state directory while in the `with` block; `purpose` is the command, such as `apply` or `run`.

    Entering raises ControllerRunning, naming who holds it, or StateError if the lock file can't be used.
    """

    def __init__(self, state_dir: Path, purpose: str, clock: Clock) -> None:
        self._path = state_dir / LOCK_FILE
        self._purpose = purpose
        self._clock = clock
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        prepare_state_directory(self._path.parent)
        descriptor = self._open()
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(self, *exception: object) -> None:
        if self._descriptor is not None:
            # The file stays: unlinking a locked file would let two processes hold two different ones.
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _take(self, descriptor: int) -> None:
        for _attempt in range(_ATTEMPTS):
            if _locked(descriptor, fcntl.LOCK_EX):
                self._write_holder(descriptor)
                return
            self._clock.wait(threading.Event(), _PAUSE)
        raise ControllerRunning(
            f"{_holder(os.pread(descriptor, 4096, 0))} already controls {self._path.parent}",
            hint="let it finish or stop it first; plan, status and why work beside it",
        )

    def _open(self) -> int:
        try:
            return open_private(self._path)
        except OSError as error:
            raise StateError(
                f"{self._path} can't be opened: {error.strerror}",
                hint=next_step(error, self._path.parent),
            ) from error

    def _write_holder(self, descriptor: int) -> None:
        holder = {"pid": os.getpid(), "command": self._purpose, "since": self._clock.now()}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        except OSError as error:
            raise StateError(
                f"{self._path} can't be written: {error.strerror}", hint=f"make room on the file system of {self._path}"
            ) from error


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Holder(Struct, frozen=True):
    """Who controls a state directory, or leads a fleet."""

    command: str
    """Such as `apply` or `run`; empty for one that has the lock and has not yet written who it is."""
    pid: int = 0
    since: float = 0.0
    """Wall time in seconds."""
    name: str = ""
    """Of the controller, where several share a ledger."""
    term: int = 0
    """Of its lead, likewise."""
    standbys: tuple[str, ...] | None = None
    """Names of those that would lead next; None where nobody was asked."""

    def __str__(self) -> str:
        if not self.command:
            return "another controller (just starting)"
        since = datetime.fromtimestamp(self.since, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        where = f" on {self.name}" if self.name else ""
        term = f", term {self.term}" if self.term else ""
        who = f"`reconciler {self.command}`{where} (pid {self.pid}, since {since}{term})"
        if self.standbys is None or self.command != "run":
            return who
        names = " and ".join(self.standbys)
        return f"{who}, {f'{names} standing by' if names else 'nobody stands by'}"


def _holder(content: bytes) -> Holder:
    try:
        said: dict[str, Any] = json.loads(content)
        return Holder(str(said["command"]), int(said["pid"]), float(said["since"]))
    except (ValueError, KeyError, TypeError):
        return Holder("")


def controller(state_dir: Path) -> Holder | None:
    """Who controls the state directory now; None if nobody does."""
    try:
        descriptor = os.open(state_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _locked(descriptor, fcntl.LOCK_SH) else _holder(os.pread(descriptor, 4096, 0))
    finally:
        os.close(descriptor)


def controller_holder(state_dir: Path) -> str | None:
    """Who controls the state directory now, in words; None if nobody does."""
    holder = controller(state_dir)
    return None if holder is None else str(holder)

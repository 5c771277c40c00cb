"""The inputs of the last passes that decided something, in the state directory, so that each can be planned again.

A file holds the specs with all that first-boot configurations say, secrets included: it is for the controller's user
alone (0600), as the specs are. Writing is a thread's work and may fail: no pass waits for it or depends on it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path
from typing import Final, Self

import structlog

from reconciler.daemon.pass_codec import PassInput, decode, encode, pass_input
from reconciler.daemon.view import View
from reconciler.errors import UsageError
from reconciler.model.policy import Policy
from reconciler.private_files import make_private_folder, open_private

FOLDER: Final = "passes"
FILES_KEPT: Final = 200
BYTES_KEPT: Final = 256 << 20
_SUFFIX: Final = ".pass"
_WAITING: Final = 4
"""Inputs that may wait to be written; more would only be memory held."""
_LISTED: Final = 5

log = structlog.get_logger()


class PassArchive:
    """The folder of kept inputs below `state_dir`; the oldest are dropped beyond `files` or `size` bytes."""

    def __init__(self, state_dir: Path, *, files: int = FILES_KEPT, size: int = BYTES_KEPT) -> None:
        self._folder = state_dir / FOLDER
        self._files = files
        self._size = size

    def keep(self, kept: PassInput) -> Path:
        """Write it, whole or not at all; raises OSError. For the one controller of the state directory."""
        make_private_folder(self._folder)
        for left_over in self._folder.glob("*.partial"):
            left_over.unlink()
        newest = self._paths()[-1:]
        # Numbered, not dated: a clock that is set back must not make the newest the first to be dropped.
        number = 1 + int(newest[0].name.partition("-")[0]) if newest else 1
        path = self._folder / f"{number:08d}-{kept.pass_id}{_SUFFIX}"
        unfinished = self._folder / f"{kept.pass_id}.partial"
        try:
            with os.fdopen(open_private(unfinished), "wb") as file:
                file.write(encode(kept))
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        self._drop_oldest()
        return path

    def load(self, named: str) -> PassInput:
        """The input of the pass with the id `named`, or in the file of that name; raises UsageError."""
        path = self._path_of(named)
        try:
            return decode(path.read_bytes(), str(path))
        except OSError as error:
            raise UsageError(f"{path} can't be read: {error.strerror}", hint="run as the controller's user") from error

    def ids(self) -> tuple[str, ...]:
        """Ids of the kept passes, newest first."""
        return tuple(_id_of(path) for path in reversed(self._paths()))

    def _path_of(self, named: str) -> Path:
        found = [path for path in self._paths() if _id_of(path) == named]
        if found:
            return found[-1]
        if Path(named).is_file():
            return Path(named)
        known = ", ".join(self.ids()[:_LISTED])
        raise UsageError(
            f"no input of a pass {named!r} is kept in {self._folder}",
            hint=f"the newest that are: {known}" if known else "name the controller's directory with --state-dir",
        )

    def _paths(self) -> list[Path]:
        """Oldest first."""
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(
                f"{self._folder} can't be read: {error.strerror}", hint="run as the controller's user"
            ) from error

    def _drop_oldest(self) -> None:
        paths = self._paths()
        left = sum(path.stat().st_size for path in paths)
        for number, path in enumerate(paths[:-1]):
            if len(paths) - number <= self._files and left <= self._size:
                return
            left -= path.stat().st_size
            path.unlink()


class PassInputs:
    """Keeps what passes were decided from, on a thread of its own; values are frozen, so they can be written later."""

    def __init__(self, archive: PassArchive, policy: Policy) -> None:
        self._archive = archive
        self._policy = policy
        self._unmet: frozenset[tuple[str, str]] = frozenset()
        self._waiting: deque[tuple[str, View]] = deque(maxlen=_WAITING)
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def note(self, pass_id: str, view: View) -> None:
        """Keep the input of this pass if it decided something: on actions, or on other reasons than the last one."""
        unmet = frozenset((str(unmet.target), unmet.reason) for unmet in view.plan.unmet)
        decided = bool(view.plan.actions) or unmet != self._unmet
        self._unmet = unmet
        if not decided:
            return
        with self._changed:
            self._waiting.append((pass_id, view))
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="pass-inputs", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for up to `seconds`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                pass_id, view = self._waiting.popleft()
            self._write(pass_id, view)

    def _write(self, pass_id: str, view: View) -> None:
        try:
            self._archive.keep(
                pass_input(pass_id, view.desired, view.inventory, view.ledger, self._policy, view.plan, view.at)
            )
        except (OSError, UsageError) as error:
            log.warning("pass.not_kept", pass_id=pass_id, error=str(error))
        except Exception:
            # A mistake of ours in one must not cost the next ones.
            log.exception("pass.not_kept", pass_id=pass_id)


def _id_of(path: Path) -> str:
    return path.stem.partition("-")[2]

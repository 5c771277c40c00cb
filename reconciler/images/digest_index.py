"""What is known of files that have not changed since, so that looking at them again costs a stat."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.clock import Clock
from reconciler.images.durable import replace_file
from reconciler.images.file_lock import locked_if_free
from reconciler.images.inspect import RULES_VERSION
from reconciler.private_files import make_private_folder

FileIdentity = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime in ns: changes whenever the content may have."""

_ATTEMPTS: Final = 20
_PAUSE: Final = 0.02  # seconds; whoever holds the index for longer than all attempts is stopped or dead
_SETTLED: Final = 2.0  # seconds: a file written to just now may be written to again without a new timestamp


class KnownFile(BaseModel):
    """One file as it was when it was read; sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: FileIdentity
    digests: dict[str, str] = Field(default_factory=dict)
    """By algorithm: `sha256:…`."""
    virtual_sizes: dict[str, int] = Field(default_factory=dict)
    """By the format as which the file passed inspection."""


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: int = RULES_VERSION
    files: dict[str, KnownFile] = Field(default_factory=dict)


def identity_of(status: os.stat_result) -> FileIdentity:
    """The identity of the file that was stat'ed."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class DigestIndex:
    """A JSON file of `KnownFile` by path: only a cache, so a damaged or unwritable one costs time and nothing else."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def recall(self, path: Path, identity: FileIdentity) -> KnownFile:
        """What is known of the file while it has this identity; nothing where it is new or changed."""
        known = self._read().files.get(str(path))
        return known if known is not None and known.identity == identity else KnownFile(identity=identity)

    def remember(self, path: Path, known: KnownFile, *, ours: bool) -> None:
        """Keep `known`, unless the file changed so lately that it may change again unnoticed.

        `ours` is a file that nobody else writes to.
        """
        if ours or self._clock.now() - max(known.identity[3:]) / 1e9 > _SETTLED:
            self._update(lambda files: files | {str(path): known})

    def forget_missing(self) -> None:
        """Drop what is known of files that are gone."""
        self._update(lambda files: {path: known for path, known in files.items() if Path(path).exists()})

    def _update(self, change: Callable[[dict[str, KnownFile]], dict[str, KnownFile]]) -> None:
        # Looking at a fleet must work on a full disk too; the digest is computed again next time.
        with suppress(OSError):
            self._try_to_update(change)

    def _try_to_update(self, change: Callable[[dict[str, KnownFile]], dict[str, KnownFile]]) -> None:
        if not self._can_be_kept():
            return
        for _attempt in range(_ATTEMPTS):
            with locked_if_free(self._path.with_suffix(".lock")) as held:
                if held:
                    self._write(change)
                    return
            self._clock.wait(threading.Event(), _PAUSE)

    def _can_be_kept(self) -> bool:
        """Whoever only looks at a fleet may have no state directory, or not be allowed to write to it."""
        folder = self._path.parent
        if not folder.exists() and os.access(folder.parent, os.W_OK):
            make_private_folder(folder)
        return os.access(folder, os.W_OK)

    def _write(self, change: Callable[[dict[str, KnownFile]], dict[str, KnownFile]]) -> None:
        files = self._read().files
        changed = change(files)
        if changed != files:
            replace_file(self._path, _Index(files=changed).model_dump_json().encode())

    def _read(self) -> _Index:
        try:
            index = _Index.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Index()
        return index if index.rules == RULES_VERSION else _Index()

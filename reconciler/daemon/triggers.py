"""What makes the daemon look again: files, libvirt events, timers. They only say *dirty*, never what to do."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from reconciler.clock import Clock

log = structlog.get_logger()

_LOOKING: Final = frozenset({"opened", "closed_no_write"})
"""Kinds of file events that our own reading causes."""


class Dirty:
    """Set from any thread when something may have changed; waited for by the loop.

    A burst (a checkout, an editor's save by rename) is taken as one: the loop goes on after `settle` seconds of quiet,
    or `longest` seconds after the burst began.
    """

    def __init__(self, clock: Clock, *, settle: float = 0.3, longest: float = 3.0) -> None:
        self._clock = clock
        self._settle = settle
        self._longest = longest
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._reasons: dict[str, None] = {}
        self._urgent = False

    def mark(self, reason: str, *, urgent: bool = False) -> None:
        """Something happened; `reason` is a word or two for the log. What is urgent waits for no quiet."""
        with self._lock:
            self._reasons[reason] = None
            self._urgent |= urgent
            self._event.set()

    def wait(self, timeout: float) -> tuple[str, ...]:
        """Wait for the first mark (or `timeout` seconds), then for quiet; return the reasons, empty after a timeout."""
        if not self._clock.wait(self._event, timeout):
            return ()
        begun = self._clock.monotonic()
        while not self._urgent and self._clock.monotonic() - begun < self._longest:
            self._event.clear()
            if not self._clock.wait(self._event, self._settle):
                break
        with self._lock:
            self._event.clear()
            self._urgent = False
            reasons = tuple(self._reasons)
            self._reasons.clear()
        return reasons


class Watch(Protocol):
    """Looks after the watching of a directory of specs."""

    def renew(self) -> None:
        """Watch what the directory's path leads to now; called in every pass."""
        ...


class _Handler(FileSystemEventHandler):
    def __init__(self, dirty: Dirty) -> None:
        self._dirty = dirty

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in _LOOKING:
            self._dirty.mark("specs")


class SpecsWatch:
    """Watches a directory of specs, also while it is replaced, gone, or a symbolic link that is switched.

    inotify follows inodes, not names: after the directory was replaced its watch is blind. So its parent is watched
    too, and `renew` watches afresh whenever the path leads to another inode than before.
    """

    def __init__(self, directory: Path, dirty: Dirty) -> None:
        self._directory = directory
        self._handler = _Handler(dirty)
        self._dirty = dirty
        self._observer = Observer()
        self._inode: tuple[int, int] | None = None
        self._trouble = ""

    def __enter__(self) -> Self:
        self._observer.start()
        self.renew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observer.stop()
        self._observer.join(timeout=5)

    @property
    def directory(self) -> Path:
        """The directory as it was named."""
        return self._directory

    def renew(self) -> None:
        """Watch the directory that the path leads to now, if it is another one; called in every pass.

        Where it can't be watched (it vanished, or the kernel's limit of watches is reached) the passes that come by
        themselves look at it all the same, and try again.
        """
        inode = self._current_inode()
        if inode == self._inode:
            return
        try:
            self._watch(inode)
        except OSError as error:
            self._inode = None
            if str(error) != self._trouble:
                log.warning("specs.not_watched", directory=str(self._directory), error=str(error))
            self._trouble = str(error)
        else:
            self._inode, self._trouble = inode, ""
            self._dirty.mark("specs")

    def _watch(self, inode: tuple[int, int] | None) -> None:
        self._observer.unschedule_all()
        self._watch_parent()
        if inode is not None:
            self._observer.schedule(self._handler, str(self._directory.resolve()), recursive=True)

    def _watch_parent(self) -> None:
        parent = self._directory.absolute().parent
        if parent.is_dir():
            self._observer.schedule(_ParentHandler(self._directory.name, self._dirty), str(parent), recursive=False)

    def _current_inode(self) -> tuple[int, int] | None:
        try:
            status = self._directory.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino)


class _ParentHandler(_Handler):
    """Only what concerns the directory's own name."""

    def __init__(self, name: str, dirty: Dirty) -> None:
        super().__init__(dirty)
        self._name = name

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = (str(event.src_path), str(event.dest_path))
        if any(path.rsplit("/", 1)[-1] == self._name for path in paths):
            super().on_any_event(event)

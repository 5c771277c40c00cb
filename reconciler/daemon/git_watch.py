"""A Git repository that is followed while the daemon runs: asked at intervals, and at once when somebody says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from reconciler.clock import Clock
from reconciler.config import Settings
from reconciler.daemon.notify import ServiceManager
from reconciler.daemon.triggers import Dirty
from reconciler.specfiles.git_follow import Follower, Step

log = structlog.get_logger()

_LEAST: Final = 1.0
"""Seconds between two questions, however often somebody says that there is news."""
_TURN: Final = 1.0
"""Seconds between two signs of life while there is no commit yet."""


class GitWatch:
    """Follows the repository of `settings` on a thread of its own; each new commit is one more reason for a pass."""

    def __init__(self, settings: Settings, dirty: Dirty, clock: Clock, stop: threading.Event) -> None:
        assert settings.git is not None  # noqa: S101  # for the type checker: nobody follows without one
        self._interval = settings.git.interval
        self._follower = Follower(settings.git, settings.state_dir, clock, stop)
        self._dirty = dirty
        self._clock = clock
        self._stop = stop
        self._asked = threading.Event()
        self._is_first = threading.Event()
        self._told = ""
        self._waits_for = ""
        self._thread = threading.Thread(target=self._run, name="git", daemon=True)

    @property
    def waits_for(self) -> str:
        """Why there is no commit to go by yet; empty where there is one."""
        return "" if self._is_first.is_set() else self._waits_for

    def start(self) -> None:
        """Begin; raises OSError where nothing can be written."""
        revision = self._follower.begin()
        if revision is not None:
            log.info("git.taken_up", commit=str(revision))
            self._is_first.set()
        self._thread.start()

    def ask(self) -> None:
        """Have the remote asked now; from any thread."""
        self._asked.set()

    def join(self) -> None:
        """Wait for its end, which `stop` has begun."""
        self._asked.set()
        self._thread.join(timeout=10.0)

    def await_first(self, seconds: float) -> bool:
        """Whether there is a commit to go by, waiting up to `seconds` for it."""
        return self._clock.wait(self._is_first, seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._asked.clear()
            try:
                self._note(self._follower.step())
            except OSError as error:
                self._waits_for = f"{error.filename or 'its copy'} can't be written: {(error.strerror or '').lower()}"
                if self._is_news():
                    log.error("git.not_written", detail=self._waits_for)  # noqa: TRY400  its text says it all
            except Exception:
                log.exception("thread.failed", thread="git")
            if not self._clock.wait(self._stop, _LEAST):
                self._clock.wait(self._asked, self._interval - _LEAST)

    def _note(self, step: Step) -> None:
        state, revision = step.state, step.followed
        if step.is_new and revision is not None:
            log.info("git.followed", commit=revision.commit, subject=revision.subject, author=revision.author)
            if revision.replaced:
                log.warning("git.history_rewritten", before=revision.replaced, now=revision.commit)
            self._dirty.mark(f"commit {revision.commit[:7]}", urgent=True)
            self._is_first.set()
        self._waits_for = state.failure or state.refusal
        is_news = self._is_news()
        if state.failure and is_news:
            log.warning("git.unreachable", detail=state.failure)
        elif state.refusal and is_news:
            log.warning("git.refused", commit=state.refused, detail=state.refusal)
        elif is_news:
            log.info("git.works_again")

    def _is_news(self) -> bool:
        """Each trouble is told once, and that it is over."""
        before, self._told = self._told, self._waits_for
        return before != self._told


@contextmanager
def following(watch: GitWatch | None, stop: threading.Event) -> Iterator[None]:
    """Follow the repository meanwhile, if there is one; begins once there is a commit to go by, or `stop` is set.

    Until then systemd is told what it waits for: it is up, and an empty repository is where a fleet begins.
    """
    if watch is None:
        yield
        return
    watch.start()
    try:
        _await_first(watch, stop)
        yield
    finally:
        stop.set()
        watch.join()


def _await_first(watch: GitWatch, stop: threading.Event) -> None:
    service, is_ready = ServiceManager(), False
    while not stop.is_set() and not watch.await_first(_TURN):
        if not watch.waits_for:
            continue
        sentence = f"waits for a commit: {watch.waits_for}"
        (service.status if is_ready else service.ready)(sentence)
        is_ready = True
        service.alive()

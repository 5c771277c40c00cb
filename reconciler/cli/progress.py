"""Progress of a convergence: a line when something ends, and on a terminal a bar for what takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Final, Protocol, Self

import click

from reconciler.cli.progress_events import EventProgress
from reconciler.cli.step_words import DiskImages, phrase
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import clock_time, count, printable
from reconciler.clock import SystemClock
from reconciler.config import Settings
from reconciler.daemon.view import ConvergeObserver
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan

_WORDS: Final[dict[str, tuple[str, Style]]] = {
    "done": ("done", "good"),
    "refused": ("refused", "warn"),
    "failed": ("failed", "bad"),
    "skipped": ("skipped", "dim"),
    "handed-back": ("handed back", "dim"),
}


class Progress(ConvergeObserver, AbstractContextManager["Progress"], Protocol):
    """An observer that is shown while in its `with` block."""


def outcome_line(action: Action, outcome: Outcome, images: DiskImages, terminal: Terminal, at: float) -> str:
    """`05:40:12 VirtualMachine/web-1 on h2: define … done 0.2s`."""
    word, style = _WORDS[outcome.status]
    where = f" on {action.host}" if action.host else ""
    took = f" {outcome.seconds:.1f}s" if outcome.status in {"done", "failed"} else ""
    message = f": {printable(outcome.message)}" if outcome.message and outcome.status != "done" else ""
    again = " (will be tried again)" if outcome.status == "failed" and outcome.transient else ""
    when = terminal.paint(clock_time(at), "dim")
    return (
        f"{when} {action.target}{where}: {phrase(action, images)} … {terminal.paint(word, style)}{took}{message}{again}"
    )


def specs_changed(plan: Plan) -> str:
    """What is told where they were edited while they were being applied: this plan was shown to nobody."""
    return f"the specs have changed, they are {plan.generation} now: "


class LineProgress:
    """Plain lines, for logs and pipes."""

    def __init__(
        self,
        images: DiskImages,
        terminal: Terminal,
        write: Callable[[str], None],
        *,
        quiet: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._images = images
        self._terminal = terminal
        self._write = write
        self._quiet = quiet
        self._now = now
        self._lock = threading.Lock()
        self._is_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def planned(self, plan: Plan) -> None:
        changed, self._is_begun = specs_changed(plan) if self._is_begun else "", True
        if changed or not self._quiet:
            self._write(changed + f"{count(len(plan.actions), 'action')} to do")

    def action_started(self, action: Action) -> None:
        del action  # a line at its end says it all; two for everything would hide what matters

    def action_progress(self, action_id: str, done: int, total: int) -> None:
        del action_id, done, total

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        if self._quiet and outcome.status == "done":
            return
        with self._lock:
            self._write(outcome_line(action, outcome, self._images, self._terminal, self._now()))


def progress_for(images: DiskImages, terminal: Terminal, settings: Settings) -> Progress:
    """Events where logs are JSON, bars where a person watches standard error, lines elsewhere."""
    if settings.log_format == "json":
        return EventProgress(_say, SystemClock())
    quiet = settings.verbosity < 0
    if terminal.interactive and not quiet:
        bars: Progress = import_module("reconciler.cli.progress_bars").BarProgress(images, terminal)
        return bars
    return LineProgress(images, terminal, _say, quiet=quiet)


def _say(line: str) -> None:
    click.echo(line, err=True)

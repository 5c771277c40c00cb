"""Progress on a terminal: one bar for the whole, one for each action in flight, a line above for what ended."""

from __future__ import annotations

import threading
import time
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from reconciler.cli.progress import outcome_line, specs_changed
from reconciler.cli.step_words import DiskImages, phrase
from reconciler.cli.terminal import Terminal
from reconciler.cli.words import count
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Action, Plan


class _Amount(ProgressColumn):
    """Bytes of an upload, actions of the whole, nothing for what has no measure."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn(binary_units=True)

    def render(self, task: Task) -> Text:
        if task.fields.get("whole"):
            return Text(f"{task.completed:.0f}/{task.total or 0:.0f}")
        return self._bytes.render(task) if task.total else Text("")


class BarProgress:
    """Bars by rich; used from several threads."""

    def __init__(self, images: DiskImages, terminal: Terminal) -> None:
        self._images = images
        self._terminal = terminal
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._counted: set[str] = set()
        self._is_begun = False
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Amount(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True, no_color=not terminal.colour, highlight=False),
            transient=True,
        )
        self._whole = self._progress.add_task("actions", total=0, whole=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def planned(self, plan: Plan) -> None:
        with self._lock:
            if self._is_begun:
                self._progress.console.print(f"{specs_changed(plan)}{count(len(plan.actions), 'action')} to do")
            self._is_begun = True
            self._counted |= {action.id for action in plan.actions}
            self._progress.update(self._whole, total=len(self._counted))

    def action_started(self, action: Action) -> None:
        where = f" on {action.host}" if action.host else ""
        words = f"{action.target.name}{where}: {phrase(action, self._images)}"
        with self._lock:
            self._counted.add(action.id)  # a later look may have found more to do
            self._progress.update(self._whole, total=len(self._counted))
            # No total: the bar pulses until the action tells how far it is.
            self._tasks[action.id] = self._progress.add_task(words, total=None)

    def action_progress(self, action_id: str, done: int, total: int) -> None:
        with self._lock:
            task = self._tasks.get(action_id)
        if task is not None:
            self._progress.update(task, completed=done, total=total)

    def action_ended(self, action: Action, outcome: Outcome) -> None:
        with self._lock:
            task = self._tasks.pop(action.id, None)
        if task is not None:
            self._progress.remove_task(task)
        if outcome.status == "done":
            self._progress.advance(self._whole)
        line = outcome_line(action, outcome, self._images, self._terminal, time.time())
        self._progress.console.print(Text.from_ansi(line))

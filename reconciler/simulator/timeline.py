"""What happened in a simulation, in order, in lines that stay the same from run to run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from reconciler.clock import Clock

_EVENT_WIDTH: Final = 24
_OBJECT_WIDTH: Final = 26
_HOST_WIDTH: Final = 6
_PROCESS: Final = re.compile(r"\(pid \d+, since [^)]*\)")


class Entry(Struct, frozen=True):
    """One thing that happened; `at` in simulated seconds since the beginning."""

    at: float
    event: str
    object: str = ""
    host: str = ""
    sentence: str = ""

    def line(self) -> str:
        """`  12.3 s  start-domain done  VirtualMachine/web  h1  sentence`, in columns."""
        columns = f"{self.event:<{_EVENT_WIDTH}} {self.object:<{_OBJECT_WIDTH}} {self.host:<{_HOST_WIDTH}}"
        return f"{self.at:8.1f} s  {columns} {self.sentence}".rstrip()


class Timeline:
    """Takes down entries; `hidden` are texts that differ from run to run, and what is shown instead."""

    def __init__(self, clock: Clock, hidden: dict[str, str], tell: Callable[[Entry], None] | None = None) -> None:
        self._clock = clock
        self._hidden = hidden
        self._tell = tell
        self.entries: list[Entry] = []

    def note(self, event: str, object_: str = "", host: str = "", sentence: str = "") -> None:
        """Something happened now."""
        entry = Entry(self._clock.monotonic(), event, object_, host, " ".join(self.shown(sentence).split()))
        self.entries.append(entry)
        if self._tell is not None:
            self._tell(entry)

    def shown(self, text: str) -> str:
        """`text` without what differs from run to run: folders, processes, the time of where it is run."""
        for hidden, shown in self._hidden.items():
            text = text.replace(hidden, shown)
        return _PROCESS.sub("(pid …)", text)

    def text(self) -> str:
        return "".join(f"{entry.line()}\n" for entry in self.entries)

"""Ends what a fence agent left behind: ssh, for one, is started in a session of its own, out of the agent's group."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

MARK: Final = "RECONCILER_FENCE_RUN"
"""Environment variable that all processes of one run inherit."""
_PROC: Final = Path("/proc")
_ROUNDS: Final = 5
_KILL_SECONDS: Final = 2.0


def start_of(pid: int) -> int:
    """When the process was started, in ticks since boot; 0 if that can't be known."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return 0
    after_name = stat.rpartition(")")[2].split()
    return int(after_name[19]) if len(after_name) > 19 else 0


def end_leftovers(mark: str, since: int) -> bool:
    """Kill every process whose environment has `MARK` with this value; return whether all of them are gone.

    `since` is `start_of` the first of them: older ones are not looked into, as that may hang where they do.
    """
    for _ in range(_ROUNDS):
        found = [pid for pid in _processes() if start_of(pid) >= since and _is_marked(pid, mark)]
        if not found:
            return True
        for pid in found:
            _kill(pid, mark)
    return False


def _processes() -> Iterator[int]:
    with os.scandir(_PROC) as entries:
        yield from (int(entry.name) for entry in entries if entry.name.isdecimal() and int(entry.name) != os.getpid())


def _is_marked(pid: int, mark: str) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False  # gone meanwhile, or another user's
    return f"{MARK}={mark}".encode() in environment.split(b"\0")


def _kill(pid: int, mark: str) -> None:
    with _handle(pid) as handle:
        # Asked again through the handle's process: the number may have been given to another one.
        if handle is not None and _is_marked(pid, mark):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(_KILL_SECONDS * 1000)


@contextmanager
def _handle(pid: int) -> Iterator[int | None]:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    with closing(_Descriptor(descriptor)):
        yield descriptor


class _Descriptor:
    def __init__(self, number: int) -> None:
        self._number = number

    def close(self) -> None:
        os.close(self._number)

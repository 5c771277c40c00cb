"""Runs one program for a bounded time with bounded output, and ends all of it, whatever it started."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Final, Literal

from msgspec import Struct

from reconciler.clock import Clock
from reconciler.fencing.leftovers import MARK, end_leftovers, start_of

SEARCH_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT: Final = 64 * 1024
"""Bytes that are kept of each stream; the rest is read and dropped."""
_MAX_INPUT: Final = 32 * 1024  # what a pipe takes at once, so that writing never waits
_STOP_SLICE: Final = 0.05
_TERM_SECONDS: Final = 1.0
_KILL_SECONDS: Final = 2.0


class Finished(Struct, frozen=True):
    """How a run ended; `code` is None unless it exited by itself."""

    ended: Literal["exited", "timed-out", "stopped"]
    code: int | None
    output: str
    """Standard output, its first `MAX_OUTPUT` bytes."""
    complaints: str
    """Standard error, likewise."""
    leftover: bool = False
    """Something of it could not be killed: it hangs in the kernel."""


def run_program(
    command: Sequence[str],
    *,
    text: str,
    variables: Mapping[str, str],
    deadline: float,
    clock: Clock,
    stopped: Callable[[], bool],
    thorough: bool = False,
) -> Finished:
    """Run `command` with `text` on its standard input until it exits, `deadline` (monotonic) or `stopped`.

    Its environment is `variables` and a search path. What it left running is always ended; with `thorough`, what has
    left its process group too, even if it exited by itself. Raises OSError if it can't be started, or the text is too
    long.
    """
    data = text.encode()
    if len(data) > _MAX_INPUT:
        raise OSError(f"more than {_MAX_INPUT} bytes of parameters")
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [*_dying_with_us(), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", **variables, MARK: mark},
        cwd="/",
        start_new_session=True,
        umask=0o077,
    )
    try:
        run = _Run(process, mark, clock, thorough=thorough)
    except OSError:
        process.kill()
        process.wait()
        raise
    return run.until(data, deadline, stopped)


def _dying_with_us() -> tuple[str, ...]:
    """The kernel kills the agent when the controller dies: nothing goes on cutting power that nobody waits for."""
    setpriv = shutil.which("setpriv", path=SEARCH_PATH)
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


class _Run:
    def __init__(self, process: subprocess.Popen[bytes], mark: str, clock: Clock, *, thorough: bool) -> None:
        self._process = process
        self._mark = mark
        self._since = start_of(process.pid)
        self._thorough = thorough
        self._clock = clock
        self._handle = os.pidfd_open(process.pid)
        self._streams = {stream.fileno(): bytearray() for stream in (process.stdout, process.stderr) if stream}
        self._ended: set[int] = set()
        self._poll = select.poll()
        for number in (self._handle, *self._streams):
            self._poll.register(number, select.POLLIN)

    def until(self, data: bytes, deadline: float, stopped: Callable[[], bool]) -> Finished:
        try:
            self._send(data)
            ended = self._wait(deadline, stopped)
            leftover = not self._end(by_itself=ended == "exited")
            output, complaints = (self._drained(number) for number in list(self._streams))
            code = self._process.returncode if ended == "exited" else None
            return Finished(ended, code, output, complaints, leftover)
        finally:
            if self._process.poll() is None:  # an exception, such as Ctrl-C
                self._end(by_itself=False)
            self._close()

    def _send(self, data: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101  it was opened as a pipe
        with suppress(BrokenPipeError):  # it has ended already, and its exit code says why
            stdin.write(data)
            stdin.close()

    def _wait(self, deadline: float, stopped: Callable[[], bool]) -> Literal["exited", "timed-out", "stopped"]:
        while True:
            left = deadline - self._clock.monotonic()
            if stopped():
                return "stopped"
            if left <= 0:
                return "timed-out"
            ready = [number for number, _ in self._poll.poll(min(left, _STOP_SLICE) * 1000)]
            for number in ready:
                if number in self._streams:
                    self._read(number)
            if self._handle in ready:
                return "exited"

    def _read(self, number: int) -> bool:
        try:
            chunk = os.read(number, MAX_OUTPUT)
        except BlockingIOError:
            return False
        kept = self._streams[number]
        kept += chunk[: MAX_OUTPUT - len(kept)]
        if not chunk:
            self._poll.unregister(number)
            self._ended.add(number)
        return bool(chunk)

    def _drained(self, number: int) -> str:
        """What is left in the pipe; its other end may still be open in something that could not be killed."""
        os.set_blocking(number, False)
        going_on = number not in self._ended
        while going_on:
            going_on = self._read(number) and len(self._streams[number]) < MAX_OUTPUT
        text = self._streams[number].decode(errors="replace")
        # A last line that was cut could hold a part of a secret, which nobody would recognise.
        return text if len(self._streams[number]) < MAX_OUTPUT else text.rpartition("\n")[0]

    def _end(self, *, by_itself: bool) -> bool:
        """End the whole group, then whatever left it; return whether all of it is gone."""
        if not by_itself:
            self._signal_group(signal.SIGTERM)
            self._await_exit(_TERM_SECONDS)
        # Before the leader is reaped: until then nobody else can be given its group's number.
        self._signal_group(signal.SIGKILL)
        self._await_exit(_KILL_SECONDS)
        gone = self._process.poll() is not None
        if by_itself and not self._thorough:
            return gone
        return end_leftovers(self._mark, self._since) and gone

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _await_exit(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        poll.poll(seconds * 1000)

    def _close(self) -> None:
        os.close(self._handle)
        streams: tuple[IO[bytes] | None, ...] = (self._process.stdin, self._process.stdout, self._process.stderr)
        for stream in streams:
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

"""Processes, namespaces and links, by the programs that every Linux has."""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.lab.waiting import LabError

_STAND_INS = Path(__file__).with_name("stand_ins")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@cache
def _path() -> str:
    """With stand-ins for what the kernel here lacks."""
    probe = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "sfq"]
    can_shape = subprocess.run(probe, check=False, capture_output=True, timeout=10).returncode == 0
    return _PATH if can_shape else f"{_STAND_INS}:{_PATH}"


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What programs in the lab see: nothing of the controller's own settings."""
    return {"PATH": _path(), "LANG": "C.UTF-8", "HOME": "/root", **(extra or {})}


def run(argv: Sequence[str], *, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a program outside the lab; raises `LabError` with what it said."""
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=timeout, env=clean_environment(), cwd="/"
    )
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def in_namespaces(pid: int, *kinds: str) -> list[str]:
    """The words before a command that put it into namespaces of `pid` (net, mount, uts, ipc, pid)."""
    return ["nsenter", "--target", str(pid), *(f"--{kind}" for kind in kinds), "--"]


def state_of(pid: int) -> str | None:
    """The letter of /proc/PID/stat (`R`, `S`, `T`, `Z` ...), None for no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[0]


def parent_of(pid: int) -> int | None:
    """Pid of its parent, None for no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    """A killed process that nobody has reaped yet still answers kill -0, but is dead."""
    return state_of(pid) not in (None, "Z", "X")


def name_of(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """Every process on the machine, with its words."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield int(entry.name), (entry / "cmdline").read_text(errors="replace").split("\0")


def processes_in(init_pid: int) -> Iterator[int]:
    """All processes in the PID namespace of `init_pid`, except those in namespaces nested in it."""
    wanted = _pid_namespace(init_pid)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and wanted is not None and _pid_namespace(int(entry.name)) == wanted:
            yield int(entry.name)


def _pid_namespace(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # gone, or none of ours


def send(pid: int, sent: signal.Signals) -> None:
    """Send a signal; a process that is gone already is fine."""
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def wait_until_dead(pid: int, timeout: float) -> None:
    """Return once the process has ended; the first of a PID namespace ends after all others in it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([handle], [], [], timeout)
    finally:
        os.close(handle)
    if not ready:
        raise LabError(f"process {pid} ({name_of(pid)}) did not end within {timeout:g} s")

"""The process that a lab hangs on: it makes the lab's namespaces, and ends them when its owner is gone.

All that a lab consists of lives in namespaces whose first process dies with this one (parent death signal):
even kill -9 of the supervisor leaves no process, mount or link behind; the folder is swept by the next lab.

Spoken to by `tests.lab.hosts`: arguments as one JSON object, answer as one JSON line on stdout.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from tests.lab.bmc import Rack
from tests.lab.layout import LABS_FOLDER, LabPaths, LabState, check_root, is_running, make_host_folder
from tests.lab.namespaces import clean_environment, in_namespaces, run
from tests.lab.waiting import LabError

_NETWORKS = 256


@dataclass(frozen=True, slots=True)
class Order:
    """What the owner asks for."""

    name: str
    root: str
    host_names: Sequence[str]
    owner_pid: int | None
    keep: bool


def main() -> None:
    order = Order(**json.loads(sys.argv[1]))
    paths = LabPaths(Path(order.root))
    farewell = _Farewell(order.owner_pid)
    try:
        lock = _claim(paths)
        with _namespaces() as init_pid:
            network = _connect(init_pid, start=os.getpid())
            state = LabState(
                name=order.name,
                network=network,
                host_names=tuple(order.host_names),
                supervisor_pid=os.getpid(),
                init_pid=init_pid,
                owner_pid=order.owner_pid,
                keep=order.keep,
            )
            for host in state.host_names:
                make_host_folder(paths, state, host)
            paths.write_state(state)
            with Rack(paths, state) as rack:
                _answer({"ready": True})
                while farewell.wait() == "bmcs":
                    rack.start_missing()
            run(["ip", "link", "delete", state.uplink], check=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, the owner has to hear of it
        detail = str(error) if isinstance(error, LabError) else traceback.format_exc()
        _answer({"ready": False, "error": detail})
        raise SystemExit(1) from None
    _remove(paths, keep=order.keep)
    lock.close()


class _Farewell:
    """Waits for the owner's death or for SIGTERM, whichever comes first; SIGHUP asks for BMCs that run."""

    def __init__(self, owner_pid: int | None) -> None:
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for wanted in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(wanted, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._watched = [self._woken]
        if owner_pid is not None:
            try:
                self._watched.append(os.pidfd_open(owner_pid))
            except ProcessLookupError:
                raise SystemExit(1) from None

    def wait(self) -> Literal["end", "bmcs"]:
        ready, _, _ = select.select(self._watched, [], [])
        woken_by = os.read(self._woken, 1) if self._woken in ready else b""
        return "bmcs" if woken_by == bytes([signal.SIGHUP]) else "end"


def _claim(paths: LabPaths) -> IO[str]:
    """Create the lab's folder and hold its lock; remove what labs that were killed outright have left."""
    with _all_labs():
        for folder in LABS_FOLDER.iterdir():
            if folder.is_dir() and not is_running(folder) and not (folder / "keep").exists():
                shutil.rmtree(folder, ignore_errors=True)
        check_root(paths.root)
        for folder in (paths.root, paths.shared, paths.local):
            folder.mkdir(parents=True, exist_ok=True)
        lock = paths.lock_file.open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


@contextlib.contextmanager
def _all_labs() -> Iterator[None]:
    """Hold the folder of all labs: none is claimed or swept meanwhile."""
    while True:
        LABS_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(LABS_FOLDER, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            # The last lab to go removes the folder, perhaps between our opening and our locking it.
            if os.fstat(handle).st_nlink:
                break
            os.close(handle)
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _namespaces() -> Iterator[int]:
    """Namespaces of the lab's own; yields their first process, with which every host and guest dies."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL"]
    # /proc stays the outer one, so the shell reads its pid as we see it.
    first = ["sh", "-c", "read -r pid _ </proc/self/stat; echo $pid; exec tini -- sleep infinity >&2"]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *unshare, *first],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
        cwd="/",
    )
    assert process.stdout is not None
    with process.stdout as answer:
        line = answer.readline()
    if not line.strip():
        raise LabError("no namespaces: is this root, with unshare, setpriv and tini installed?")
    try:
        yield int(line)
    finally:
        os.kill(int(line), signal.SIGKILL)
        process.wait()


def _connect(init_pid: int, start: int) -> int:
    """Make the lab's switch and its link to the controller; returns N of the free subnet 10.213.N.0/24."""
    inside = in_namespaces(init_pid, "net")
    run([*inside, "ip", "link", "set", "lo", "up"])
    run([*inside, "ip", "link", "add", "switch", "type", "bridge", "stp_state", "0", "forward_delay", "0"])
    run([*inside, "ip", "link", "set", "switch", "up"])
    taken = run(["ip", "-4", "route", "show", "table", "all"]).stdout
    for candidate in (number % _NETWORKS for number in range(start, start + _NETWORKS)):
        link = f"rlab{candidate}"
        # Adding a link of a given name is atomic: whoever succeeds has the subnet.
        add = [
            "ip",
            "link",
            "add",
            link,
            "type",
            "veth",
            "peer",
            "name",
            "controller",
            "netns",
            str(init_pid),
        ]
        if f"10.213.{candidate}." in taken or run(add, check=False).returncode != 0:
            continue
        run([*inside, "ip", "link", "set", "controller", "master", "switch", "up"])
        run(["ip", "address", "add", f"10.213.{candidate}.1/24", "dev", link])
        run(["ip", "link", "set", link, "up"])
        return candidate
    raise LabError(f"no free subnet among 10.213.0.0/24 to 10.213.{_NETWORKS - 1}.0/24: too many labs?")


def _answer(message: dict[str, object]) -> None:
    """One line for the owner; whoever started us must not wait for our stdout to close."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _remove(paths: LabPaths, *, keep: bool) -> None:
    if keep:
        (paths.root / "keep").touch()
        return
    shutil.rmtree(paths.root, ignore_errors=True)
    with _all_labs(), contextlib.suppress(OSError):
        LABS_FOLDER.rmdir()  # fails, rightly, where another lab is


if __name__ == "__main__":
    main()

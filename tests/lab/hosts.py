"""Real libvirt hosts on this machine: bring them up, break them, look into them.

    with Lab.up(count=3) as lab:
        first = lab.hosts[0]            # LabHost; first.uri is qemu+tcp://10.213.N.11/system
        first.power_cut()               # silence, all guests dead
        first.power_on()

A running lab is wholly described by its folder, so any process may work with it: `Lab.attach(root)`.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import cleaning, probe_cache
from tests.lab.bmc import LabBmc
from tests.lab.host import LabHost
from tests.lab.layout import LABS_FOLDER, LabPaths, LabState, is_running
from tests.lab.namespaces import send, wait_until_dead
from tests.lab.waiting import LabError, wait_for

__all__ = ["Lab", "LabError", "LabHost", "running_labs", "wait_for"]

_REPOSITORY = Path(__file__).parents[2]
_DOWN_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Lab:
    """Some hosts on one switch, the controller's side of it included (`state.controller_address`)."""

    paths: LabPaths
    state: LabState

    @classmethod
    def up(
        cls,
        count: int = 3,
        *,
        root: Path | None = None,
        name: str | None = None,
        owner_pid: int | None = None,
        unowned: bool = False,
        keep: bool = False,
    ) -> Self:
        """Bring up `count` hosts named h1, h2 ...; returns when each answers.

        The lab goes down by itself when the process `owner_pid` (default: this one) ends, however it
        ends; with `unowned` only `down()` ends it. `keep` leaves the folder, with its logs, in place.
        Raises `LabError`.
        """
        if os.geteuid() != 0:
            raise LabError("a lab needs root: it makes namespaces and starts libvirtd")
        name = name or f"{os.getpid()}-{secrets.token_hex(3)}"
        paths = LabPaths((root or LABS_FOLDER / name).resolve())
        owner = None if unowned else owner_pid or os.getpid()
        order = {
            "name": name,
            "root": str(paths.root),
            "host_names": [f"h{number}" for number in range(1, count + 1)],
            "owner_pid": owner,
            "keep": keep,
        }
        _start_supervisor(order)
        lab = cls(paths, paths.read_state())
        try:
            lab._boot()
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def attach(cls, root: Path) -> Self:
        """The lab that some other process brought up in `root`."""
        paths = LabPaths(root.resolve())
        lab = cls(paths, paths.read_state())
        if not lab.is_up:
            raise LabError(f"the lab in {root} is gone; next: python -m tests.lab down --root {root}")
        return lab

    @property
    def is_up(self) -> bool:
        return is_running(self.root)

    @property
    def root(self) -> Path:
        return self.paths.root

    @property
    def hosts(self) -> tuple[LabHost, ...]:
        return tuple(LabHost(name, self.paths, self.state) for name in self.state.host_names)

    def host(self, name: str) -> LabHost:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"no host {name} in this lab; there are {', '.join(self.state.host_names)}")

    def bmc(self, name: str) -> LabBmc:
        """The BMC of a host; there are none before `start_bmcs()`."""
        return LabBmc(self.host(name))

    @property
    def bmcs(self) -> tuple[LabBmc, ...]:
        return tuple(LabBmc(host) for host in self.hosts)

    def start_bmcs(self) -> None:
        """Start those that don't run, and wake and mend the others; returns when each answers."""
        send(self.state.supervisor_pid, signal.SIGHUP)
        for bmc in self.bmcs:
            bmc.wait_until_started()
            bmc.heal()
            wait_for(bmc.answers, _DOWN_SECONDS, f"the BMC of {bmc.host.name} says nothing; see {bmc.folder}/log")

    @property
    def shared(self) -> Path:
        """A folder that is the same at the same path on every host, and outside."""
        return self.paths.shared

    @property
    def local(self) -> Path:
        """A path that leads to a folder of its own on every host; from outside that is `LabHost.local`."""
        return self.paths.local

    def reset(self) -> None:
        """Every host as after its first boot, and the shared folder empty."""
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(LabHost.reset, self.hosts))
        cleaning.empty(self.shared)
        if any(bmc.folder.exists() for bmc in self.bmcs):
            self.start_bmcs()

    def down(self) -> None:
        """Take all of it down; returns when nothing is left. Fine to call twice."""
        supervisor = self.state.supervisor_pid
        if self.is_up:
            send(supervisor, signal.SIGTERM)
            wait_until_dead(supervisor, _DOWN_SECONDS)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(supervisor, 0)
        if not self.state.keep:
            shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def _boot(self) -> None:
        """Boot all at once; where QEMU's capabilities are not known yet, let the first host find them out."""
        waiting = list(self.hosts)
        if not probe_cache.restore(self.hosts[0].root / "cache"):
            first = waiting.pop(0)
            first.power_on()
            probe_cache.keep(first.root / "cache")
        for host in waiting:
            probe_cache.restore(host.root / "cache")
            host.start()
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(LabHost.wait_until_booted, self.hosts))
        probe_cache.keep(self.hosts[-1].root / "cache")


def _start_supervisor(order: dict[str, object]) -> None:
    """Returns when the lab's namespaces and folders are there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.supervisor", json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_REPOSITORY,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as answers:
        ready, _, _ = select.select([answers], [], [], _DOWN_SECONDS)
        line = answers.readline() if ready else b""
    answer = json.loads(line) if line else {"ready": False, "error": "its supervisor said nothing"}
    if not answer["ready"]:
        process.kill()
        process.wait()
        raise LabError(f"lab {order['name']}: {answer['error']}")
    # Reaped by `Lab.down()`, or by whoever inherits it: Popen must not complain about it meanwhile.
    process.returncode = 0


def running_labs() -> Iterator[Lab]:
    """The labs in the usual folder that are up now."""
    for folder in sorted(LABS_FOLDER.glob("*/")):
        with contextlib.suppress(LabError):
            yield Lab.attach(folder)

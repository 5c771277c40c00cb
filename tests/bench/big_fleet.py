"""A hundred hosts with a hundred VMs each: read again, planned from nothing (running, and off), kept by the daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench
from tests.bench.fake_hosts import fake_hosts, halt_fake_fleet, make_fake_fleet
from tests.bench.measuring import REPOSITORY, Row, Target, by_turns, environment, process_seconds, reconciler
from tests.lab.controller import stop

_HOSTS: Final = 100
_VMS_PER_HOST: Final = 100
_PASSES: Final = 4
_PASS_SECONDS: Final = 120


def measure(bench: Bench) -> Iterator[Row]:
    """All rows share the fleet, which takes a while to bring up; it is halted for the last one."""
    folder = bench.place("big")
    folder.parent.chmod(0o711)
    folder.chmod(0o711)
    specs, state = folder / "specs", folder / "state"
    with fake_hosts(folder / "hosts", _HOSTS) as hosts:
        make_fake_fleet(specs, hosts, _VMS_PER_HOST)
        yield _resync(bench, specs)
        yield _cold_plan(bench, "running", specs, state)
        yield _daemon(folder, specs, state)
        halt_fake_fleet(specs, hosts, _VMS_PER_HOST)
        yield _cold_plan(bench, "defined", specs, folder / "state-halted")


def _resync(bench: Bench, specs: Path) -> Row:
    words = [sys.executable, "-m", "tests.bench.resync", str(specs), str(bench.many)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, cwd=REPOSITORY, env=environment())
    samples = json.loads(done.stdout)
    ours, theirs = tuple(samples["ours"]), tuple(samples["theirs"])
    return Row("read 10,000 running domains again, 100 hosts", ours, Target(1.3, "ratio"), "bare libvirt calls", theirs)


def _cold_plan(bench: Bench, how: str, specs: Path, state: Path) -> Row:
    read = [sys.executable, "-m", "tests.bench.bare_read", str(specs / "facilities.yaml")]
    ours, theirs = by_turns(
        bench.few,
        lambda: process_seconds(reconciler("plan", specs, state)),
        lambda: process_seconds(read),
    )
    return Row(
        f"plan 10,000 {how} VMs on 100 hosts, cold", ours, Target(5.0, "value"), "bare libvirt calls, cold", theirs
    )


def _daemon(folder: Path, specs: Path, state: Path) -> Row:
    """Resident memory once several passes have gone over the fleet."""
    address = folder / "notify"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(address))
        manager.settimeout(_PASS_SECONDS)
        with (folder / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen(
                reconciler("run", specs, state),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                env={**environment(), "NOTIFY_SOCKET": str(address)},
            )
        try:
            _await_passes(manager, _PASSES)
            memory = _resident(daemon.pid)
            stop(daemon)
        finally:
            if daemon.poll() is None:
                os.kill(daemon.pid, signal.SIGKILL)
                daemon.wait()
    return Row("memory of the daemon on that fleet", (memory,), Target(250, "value"), unit="MiB")


def _await_passes(manager: socket.socket, count: int) -> None:
    """Each pass ends by telling the service manager how the fleet is."""
    while count:
        count -= b"STATUS=" in manager.recv(1 << 16)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024

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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import cleaning, probe_cache
from tests.lab.layout import LABS_FOLDER, LabPaths, LabState, check_root
from tests.lab.namespaces import (
    clean_environment,
    in_namespaces,
    is_alive,
    name_of,
    processes_in,
    run,
    send,
    state_of,
    wait_until_dead,
)
from tests.lab.waiting import LabError, wait_for

__all__ = ["Lab", "LabError", "LabHost", "wait_for"]

_REPOSITORY = Path(__file__).parents[2]
_BOOT = Path(__file__).with_name("boot_host.sh")
_BOOT_SECONDS = 60
_DOWN_SECONDS = 30


@dataclass(frozen=True, slots=True)
class LabHost:
    """One host of a lab. Holds no process of its own: every question is answered from the lab's folder and /proc."""

    name: str
    paths: LabPaths
    state: LabState

    @property
    def address(self) -> str:
        return self.state.address(self.name)

    @property
    def uri(self) -> str:
        return f"qemu+tcp://{self.address}/system"

    @property
    def root(self) -> Path:
        """The host's disk as seen from outside: etc, lib, log, cache, local."""
        return self.paths.host(self.name)

    @property
    def local(self) -> Path:
        """What the host has at `lab.local`, where every host has a folder of its own; as seen from outside."""
        return self.root / "local"

    @property
    def pid(self) -> int:
        """The host's first process as seen from outside; raises `LabError` where the host is off."""
        try:
            pid = int((self.root / "pid").read_text())
        except FileNotFoundError:
            raise LabError(f"host {self.name} is off; next: power-on {self.name}") from None
        if not is_alive(pid):
            raise LabError(f"host {self.name} died without a power cut; see {self.root}/boot.log")
        return pid

    @property
    def is_on(self) -> bool:
        try:
            return self.pid > 0
        except LabError:
            return False

    @property
    def is_reachable(self) -> bool:
        """Whether the cable is in, whatever the host itself is doing."""
        return not (self.root / "cable-out").exists()

    @property
    def is_hung(self) -> bool:
        return any(state_of(pid) == "T" for pid in self._libvirtd())

    # Power ---------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Boot the host; returns when its libvirtd answers."""
        if self.is_on:
            return
        self.start()
        self.wait_until_booted()

    def start(self) -> None:
        """Press the button and return at once."""
        (self.root / "pid").unlink(missing_ok=True)
        number = int(self.address.rpartition(".")[2])
        given = {
            "LAB": str(self.paths.root),
            "HOST": self.name,
            "ADDRESS": f"{self.address}/24",
            "MAC": f"02:1a:b0:00:{self.state.network:02x}:{number:02x}",
            "SWITCH": f"/proc/{self.state.init_pid}/ns/net",
        }
        isolated = [
            "unshare",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--fork",
            "--kill-child=SIGKILL",
        ]
        inside = in_namespaces(self.state.init_pid, "mount", "net", "pid")
        with (self.root / "boot.log").open("wb") as log:
            subprocess.run(
                [*inside, "setsid", "--fork", *isolated, "sh", str(_BOOT)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(given),
                cwd="/",
            )

    def wait_until_booted(self) -> None:
        """Return when libvirtd answers; raises `LabError` with the boot log where the boot failed."""
        try:
            pid = int(wait_for(lambda: self._read("pid"), _BOOT_SECONDS, "no first process"))
            booted = Path(f"/proc/{pid}/root/run/booted")
            wait_for(lambda: booted.exists() or not is_alive(pid), _BOOT_SECONDS, "no libvirtd")
            self.virsh("capabilities", timeout=_BOOT_SECONDS)
        except (TimeoutError, LabError, subprocess.TimeoutExpired) as error:
            raise LabError(f"host {self.name} did not boot: {error}\n{self._read('boot.log')}") from error

    def power_cut(self) -> None:
        """All processes of the host die at once, guests too; nobody on the network is told."""
        pid = self.pid
        # With the link up the dying kernel would still send RST, which no real power cut grants.
        self._link("down")
        send(pid, signal.SIGKILL)
        wait_until_dead(pid, _DOWN_SECONDS)
        (self.root / "pid").unlink()
        # The link dies with the host's namespace, some time later: not left to chance.
        run([*self._switch(), "ip", "link", "delete", self.name], check=False)

    # Network -------------------------------------------------------------------------------------------------

    def network_cut(self) -> None:
        """Pull the cable at the switch; stays out over power cycles until `network_restore()`."""
        (self.root / "cable-out").touch()
        if self.is_on:
            self._link("down")

    def network_restore(self) -> None:
        (self.root / "cable-out").unlink(missing_ok=True)
        if self.is_on:
            self._link("up")

    def _link(self, to: str) -> None:
        run([*self._switch(), "ip", "link", "set", self.name, to])

    def _switch(self) -> list[str]:
        return in_namespaces(self.state.init_pid, "net")

    # Hangs ---------------------------------------------------------------------------------------------------

    def hang(self) -> None:
        """Stop libvirtd, and nothing else, in its tracks: guests run on, calls and new connections get no answer."""
        self._signal_all(self._libvirtd(), signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(self._libvirtd(), signal.SIGCONT)

    def freeze_all(self) -> None:
        """Stop every process of the host, guests too; only its kernel still answers on the network."""
        frozen: set[int] = set()
        # Again until nothing new shows up: what was just being forked is stopped too.
        while fresh := set(processes_in(self.pid)) - frozen:
            self._signal_all(sorted(fresh), signal.SIGSTOP)
            frozen |= fresh

    def thaw_all(self) -> None:
        self._signal_all(sorted(processes_in(self.pid)), signal.SIGCONT)

    def restart_libvirtd(self) -> None:
        """Kill -9 libvirtd and start it again; guests live on, clients see their connections end."""
        for pid in self._libvirtd():
            send(pid, signal.SIGKILL)
            wait_until_dead(pid, _DOWN_SECONDS)
        self.exec(["libvirtd", "--daemon", "--listen"])
        self.virsh("hostname")

    def _libvirtd(self) -> list[int]:
        return [pid for pid in processes_in(self.pid) if name_of(pid) == "libvirtd"]

    def _signal_all(self, pids: Sequence[int], sent: signal.Signals) -> None:
        for pid in pids:
            send(pid, sent)
        if sent is signal.SIGSTOP:
            for pid in pids:
                wait_for(
                    lambda pid=pid: state_of(pid) in (None, "T", "Z", "X"), 10, f"process {pid} does not stop"
                )

    # Looking inside ------------------------------------------------------------------------------------------

    @property
    def local_uri(self) -> str:
        """libvirt's own socket of this host, reached past the network: it works with the cable out."""
        return f"qemu+unix:///system?socket=/proc/{self.pid}/root/run/libvirt/libvirt-sock"

    def exec(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host; raises `LabError` with what it said where `check` and it failed."""
        inside = in_namespaces(self.pid, "mount", "uts", "ipc", "net", "pid")
        return run([*inside, *argv], check=check, timeout=timeout)

    def virsh(self, *words: str, timeout: float = 60) -> str:
        """What `virsh WORDS` on the host prints; goes behind the controller's back, past the network."""
        return run(["virsh", "-q", "-c", self.local_uri, *words], timeout=timeout).stdout

    def console(self, domain: str) -> str:
        """All that the domain has written to its serial console on this host; empty before it wrote anything.

        The domain says `<serial type='pty'><log file='/var/log/libvirt/qemu/NAME.console.log' append='on'/>`.
        """
        return self._read(f"log/qemu/{domain}.console.log")

    def guests(self) -> list[int]:
        """The pids of the QEMU processes on this host, as seen from outside."""
        names = {pid: name_of(pid) or "" for pid in processes_in(self.pid)}
        return sorted(pid for pid, name in names.items() if name.startswith("qemu-system"))

    def reset(self) -> None:
        """On, plugged in, awake, and empty: no domains, networks, pools, local volumes or logs of guests."""
        self.network_restore()
        if self.is_on:
            self.thaw_all()
        self.power_on()
        cleaning.clear_libvirt(self.local_uri)
        for folder in (self.local, self.root / "lib" / "images", self.root / "log" / "qemu"):
            cleaning.empty(folder)

    def _read(self, name: str) -> str:
        try:
            return (self.root / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""


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

        The lab goes down by itself when the process `owner_pid` (default: this one) ends, however it ends; with
        `unowned` only `down()` ends it. `keep` leaves the folder, with its logs, in place.
        Raises `LabError`.
        """
        if os.geteuid() != 0:
            raise LabError("a lab needs root: it makes namespaces and starts libvirtd")
        name = name or f"{os.getpid()}-{secrets.token_hex(3)}"
        paths = LabPaths((root or LABS_FOLDER / name).resolve())
        check_root(paths.root)
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
        return is_alive(self.state.init_pid) and is_alive(self.state.supervisor_pid)

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

    def down(self) -> None:
        """Take all of it down; returns when nothing is left. Fine to call twice."""
        supervisor = self.state.supervisor_pid
        if is_alive(supervisor):
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

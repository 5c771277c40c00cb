"""One host of the lab: power, cable, hangs, and what can be seen inside."""

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cleaning
from tests.lab.layout import LabPaths, LabState
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

_BOOT = Path(__file__).with_name("boot_host.sh")
_BOOT_SECONDS = 60
_DOWN_SECONDS = 30


@dataclass(frozen=True, slots=True)
class LabHost:
    """One host of a lab; what it is doing is read from the lab's folder and /proc, never remembered."""

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
        """What this host has at `lab.local`, as seen from outside; each host has one of its own."""
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
    def is_booting(self) -> bool:
        """Whether the button was pressed and the first process is not there yet."""
        return (self.root / "booting").exists()

    @property
    def is_reachable(self) -> bool:
        """Whether the cable is in, whatever the host itself is doing."""
        return not (self.root / "cable-out").exists()

    @property
    def is_hung(self) -> bool:
        return any(state_of(pid) == "T" for pid in self._libvirtd())

    def power_on(self) -> None:
        """Boot the host; returns when its libvirtd answers."""
        if self.is_on:
            return
        self.start()
        self.wait_until_booted()

    def start(self) -> None:
        """Press the button and return at once."""
        (self.root / "booting").touch()
        (self.root / "pid").unlink(missing_ok=True)
        number = int(self.address.rpartition(".")[2])
        given = {
            "LAB": str(self.paths.root),
            "HOST": self.name,
            "ADDRESS": f"{self.address}/24",
            "MAC": f"02:1a:b0:00:{self.state.network:02x}:{number:02x}",
            "SWITCH": f"/proc/{self.state.init_pid}/ns/net",
        }
        own = ("--mount", "--uts", "--ipc", "--net", "--pid")
        isolated = ["unshare", *own, "--fork", "--kill-child=SIGKILL"]
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

    def hang(self) -> None:
        """Stop libvirtd and nothing else: guests run on, calls and new connections get no answer."""
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

    def stop_libvirtd(self) -> None:
        """Kill -9 libvirtd and nothing else: guests live on, connections end and new ones are refused."""
        for pid in self._libvirtd():
            send(pid, signal.SIGKILL)
            wait_until_dead(pid, _DOWN_SECONDS)

    def start_libvirtd(self) -> None:
        """Start it unless it runs."""
        if not self._libvirtd():
            self.exec(["env", "G_SLICE=always-malloc", "libvirtd", "--daemon", "--listen"])  # as in boot_host.sh
        self.virsh("hostname")

    def restart_libvirtd(self) -> None:
        """Kill -9 libvirtd and start it again; guests live on, clients see their connections end."""
        self.stop_libvirtd()
        self.start_libvirtd()

    def _libvirtd(self) -> list[int]:
        """Those that live: one that was killed keeps its number until it is reaped."""
        found = [pid for pid in processes_in(self.pid) if name_of(pid) == "libvirtd"]
        return [pid for pid in found if state_of(pid) not in (None, "Z", "X")]

    def _signal_all(self, pids: Sequence[int], sent: signal.Signals) -> None:
        for pid in pids:
            send(pid, sent)
        if sent is signal.SIGSTOP:
            for pid in pids:
                wait_for(lambda pid=pid: state_of(pid) in (None, "T", "Z", "X"), 10, f"process {pid} does not stop")

    @property
    def local_uri(self) -> str:
        """The host's local libvirt socket, reached past the network: it works with the cable out."""
        return f"qemu+unix:///system?socket=/proc/{self.pid}/root/run/libvirt/libvirt-sock"

    def exec(self, argv: Sequence[str], *, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
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
        self.start_libvirtd()
        cleaning.clear_libvirt(self.local_uri)
        for folder in (self.local, self.root / "lib" / "images", self.root / "log" / "qemu"):
            cleaning.empty(folder)

    def _read(self, name: str) -> str:
        try:
            return (self.root / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

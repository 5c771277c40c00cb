"""A BMC for every lab host: a real IPMI service (`ipmi_sim`) that switches its power, and what may be wrong with it.

It listens on loopback, beside the hosts' network: it answers while its host is off, or cut off. The lab's supervisor
is the parent of all of them, so they end with the lab, however it ends.
"""

from __future__ import annotations

import secrets
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.host import LabHost
from tests.lab.layout import LabPaths, LabState
from tests.lab.namespaces import clean_environment, is_alive, run, send, state_of, wait_until_dead
from tests.lab.waiting import LabError, wait_for

PROGRAMS = ("ipmi_sim", "ipmitool", "fence_ipmilan")
USER = "admin"
CIPHER = "3"  # the one suite that ipmi_sim and ipmitool agree on at once; negotiating one takes 14 s a call

_CHASSIS = Path(__file__).with_name("bmc_chassis.sh")
_REPOSITORY = Path(__file__).parents[2]
_SECONDS = 20
_CONTROLLER = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""


@dataclass(frozen=True, slots=True)
class LabBmc:
    """The BMC of one host. What it is doing is read from its folder and /proc, never remembered."""

    host: LabHost

    @property
    def address(self) -> str:
        """Where it listens, UDP port 623."""
        return self.host.state.bmc_address(self.host.name)

    @property
    def folder(self) -> Path:
        return self.host.root / "bmc"

    @property
    def password(self) -> str:
        """What `USER` logs in with; made anew for each lab."""
        return (self.folder / "password").read_text()

    @property
    def is_running(self) -> bool:
        try:
            return is_alive(self.pid)
        except LabError:
            return False

    @property
    def pid(self) -> int:
        try:
            return int((self.folder / "pid").read_text())
        except FileNotFoundError:
            raise LabError(f"host {self.host.name} has no BMC yet; next: Lab.start_bmcs()") from None

    def wait_until_started(self) -> None:
        """Return once its process is there; raises `TimeoutError`."""
        wait_for(lambda: self.is_running, _SECONDS, f"no BMC of {self.host.name}; see {self.folder}/log")

    def answers(self) -> bool:
        """Whether it lets the controller in, and says anything about the power."""
        return self.is_running and self.ask("power", "status", check=False).returncode == 0

    def ask(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What `ipmitool WORDS` answers; raises `LabError` where `check` and it failed."""
        login = ["-H", self.address, "-U", USER, "-P", self.password, "-I", "lanplus", "-C", CIPHER]
        return run(["ipmitool", "-N", "1", "-R", "1", *login, *words], check=check)

    def kill(self) -> None:
        """It dies at once and stays dead until `Lab.start_bmcs()`: its port is closed."""
        send(self.pid, signal.SIGKILL)
        wait_until_dead(self.pid, _SECONDS)

    def hang(self) -> None:
        """It takes what it is sent and never answers; as a BMC without power looks from outside."""
        send(self.pid, signal.SIGSTOP)
        wait_for(lambda: state_of(self.pid) in (None, "T", "Z", "X"), _SECONDS, "the BMC does not stop")

    def resume(self) -> None:
        """It goes on, with what has reached it meanwhile."""
        send(self.pid, signal.SIGCONT)

    def lie(self) -> None:
        """From now on it reports success and switches nothing."""
        (self.folder / "lies").touch()

    def heal(self) -> None:
        """Awake, and as good as its word; one that was killed is started by `Lab.start_bmcs()`."""
        (self.folder / "lies").unlink(missing_ok=True)
        if self.is_running:
            self.resume()


class Rack:
    """The BMC processes of one lab, as children of the process that makes this: the lab's supervisor."""

    def __init__(self, paths: LabPaths, state: LabState) -> None:
        self._bmcs = [LabBmc(LabHost(name, paths, state)) for name in state.host_names]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def start_missing(self) -> None:
        """Start every BMC that does not run."""
        for bmc in self._bmcs:
            process = self._processes.get(bmc.host.name)
            if process is None or process.poll() is not None:
                self._processes[bmc.host.name] = _start(bmc)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


def _start(bmc: LabBmc) -> subprocess.Popen[bytes]:
    folder = bmc.folder
    (folder / "state").mkdir(parents=True, exist_ok=True)
    if not (folder / "password").exists():
        (folder / "password").write_text(secrets.token_hex(8))  # IPMI 2.0 takes 20 characters at most
    (folder / "lan.conf").write_text(_configuration(bmc))
    (folder / "bmc.emu").write_text(_CONTROLLER)
    files = {"-c": "lan.conf", "-f": "bmc.emu", "-s": "state"}
    words = ["ipmi_sim", "-n", *(word for option, name in files.items() for word in (option, str(folder / name)))]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=clean_environment(),
            cwd="/",
        )
    draft = folder / "pid.draft"
    draft.write_text(str(process.pid))
    draft.replace(folder / "pid")
    return process


def _configuration(bmc: LabBmc) -> str:
    host = bmc.host
    chassis = shlex.join(["sh", str(_CHASSIS), str(host.root), sys.executable, str(_REPOSITORY)])
    # On the wire as SMBIOS has it, like most machines: the first three fields with their low byte first.
    guid = host.state.host_uuid(host.name).bytes_le.hex()
    return f"""\
name "{host.name}"
set_working_mc 0x20
startlan 1
  addr {bmc.address} 623
  priv_limit admin
  allowed_auths_admin md5
  guid {guid}
endlan
chassis_control "{chassis}"
user 2 true "{USER}" "{bmc.password}" admin 10 md5
"""


def main() -> None:
    """Switch a host's power, for bmc_chassis.sh: FOLDER on|off."""
    folder, to = Path(sys.argv[1]), sys.argv[2]
    paths = LabPaths(folder.parents[1])
    host = LabHost(folder.name, paths, paths.read_state())
    wait_for(lambda: not host.is_booting, _SECONDS, f"{host.name} does not get past its first moment")
    if to == "on" and not host.is_on:
        host.start()
    if to == "off" and host.is_on:
        host.power_cut()


if __name__ == "__main__":
    main()

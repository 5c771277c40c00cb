"""The controller as its users run it: a directory of specs, a state directory, and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.guest import tiny_image
from tests.lab.hosts import Lab
from tests.lab.namespaces import run

POOL = "vms"
FLEET = "default"
_PROGRAM = (sys.executable, "-m", "reconciler")


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its standard output, as the JSON that it is."""
        return json.loads(self.out)


@dataclass
class Controller:
    """Specs and state of one fleet, and the commands on them."""

    specs: Path
    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    config: Path | None = None

    def argv(self, command: str, *words: str) -> list[str]:
        """The words that run `reconciler COMMAND` on this fleet."""
        return [*_PROGRAM, command, str(self.specs), *self._options(), *words]

    def _options(self) -> list[str]:
        config = [] if self.config is None else ["--config", str(self.config)]
        return ["--state-dir", str(self.state), *config]

    def run(self, command: str, *words: str, timeout: float = 120) -> Ran:
        """Run a command to its end."""
        return self._run(self.argv(command, *words), timeout)

    def ask(self, *words: str, timeout: float = 120) -> Ran:
        """Run a command whose arguments are not the specs: `why VirtualMachine/web-1`, `fence test h1`."""
        return self._run([*_PROGRAM, *words, "--specs", str(self.specs), *self._options()], timeout)

    def _run(self, argv: list[str], timeout: float) -> Ran:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, command: str, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command that goes on; what it says goes to `log`."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.argv(command, *words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
            )

    def plan(self, *, whole: bool = True) -> dict[str, Any]:
        """The plan as JSON; fails for exit codes other than 0 and 2, and, if it must be `whole`, for an unseen host."""
        ran = self.run("plan", "--json")
        assert ran.code in (0, 2), f"plan exited {ran.code}: {ran.err}"
        plan: dict[str, Any] = ran.json()
        assert not (whole and plan["unseen"]), plan["unseen"]
        return plan

    def apply(self, *words: str, expect: Iterable[int] = (0,)) -> Ran:
        """Apply without asking; fails for an exit code that is not expected."""
        ran = self.run("apply", "--yes", *words, timeout=240)
        assert ran.code in tuple(expect), f"apply exited {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def write(self, name: str, text: str) -> Path:
        """Write a spec file."""
        path = self.specs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path


def stop(process: subprocess.Popen[bytes], timeout: float = 30) -> int:
    """Ask a process to end, and wait for it."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout)


def host_specs(lab: Lab, names: Iterable[str] | None = None) -> str:
    """Host specs of the lab's hosts; small reserves, because each lab host claims the whole machine."""
    wanted = None if names is None else set(names)
    return "---\n".join(
        f"apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {host.name}}}\n"
        f"spec:\n  uri: {host.uri}\n  reserved: {{memory: 1MiB}}\n"
        for host in lab.hosts
        if wanted is None or host.name in wanted
    )


def facility_specs(lab: Lab, image: Path) -> str:
    """One shared pool, one NAT network and one image."""
    return textwrap.dedent(f"""\
        apiVersion: reconciler/v1
        kind: StoragePool
        metadata: {{name: {POOL}}}
        spec: {{type: dir, target: {lab.shared}/{POOL}, shared: true}}
        ---
        apiVersion: reconciler/v1
        kind: Network
        metadata: {{name: lan}}
        spec: {{mode: nat, subnet: 192.168.150.0/24, dhcp: true}}
        ---
        apiVersion: reconciler/v1
        kind: Image
        metadata: {{name: tiny}}
        spec: {{source: {{path: {image}}}, format: qcow2}}
        """)


def vm_spec(name: str, *, extra: str = "", memory: str = "160MiB") -> str:
    """A small VM; `extra` are further lines of its spec.

    With the plainest CPU: what a guest makes use of has to be emulated, for a tenth more of a boot.
    """
    lines = textwrap.indent(textwrap.dedent(extra).strip("\n"), "  ")
    return (
        f"apiVersion: reconciler/v1\nkind: VirtualMachine\nmetadata: {{name: {name}}}\nspec:\n"
        f"  domainType: qemu\n  cpu: {{model: qemu64}}\n  memory: {memory}\n"
        f"  disks:\n    - {{name: root, image: tiny, size: 96MiB, pool: {POOL}}}\n"
        f"  networks: [{{network: lan}}]\n{lines}\n"
    )


def blank_image(directory: Path) -> Path:
    """Nothing boots from this image: its guests sit in their BIOS and leave the processors to what is tested."""
    image = directory / "blank.qcow2"
    directory.mkdir(parents=True, exist_ok=True)
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"])
    return image


def make_controller(lab: Lab, directory: Path, vms: Iterable[str] = (), *, image: Path | None = None) -> Controller:
    """A fleet of the lab's hosts with `vms` in its specs; they boot the tiny guest, or `image`."""
    controller = Controller(directory / "specs", directory / "state")
    controller.specs.mkdir(parents=True)
    if image is not None:
        # Who sits in the BIOS feels no power button, and would be waited for.
        controller.config = directory / "config.yaml"
        controller.config.write_text("shutdownTimeout: 1s\n")
    controller.write("hosts.yaml", host_specs(lab))
    controller.write("facilities.yaml", facility_specs(lab, image or tiny_image()))
    for name in vms:
        controller.write(f"vms/{name}.yaml", vm_spec(name))
    return controller


def homes(lab: Lab, name: str) -> list[str]:
    """Hosts on which a domain of that name is defined or runs."""
    return [host.name for host in lab.hosts if name in host.virsh("list", "--all", "--name").split()]


def running(lab: Lab, name: str) -> list[str]:
    """Hosts on which a domain of that name runs."""
    return [host.name for host in lab.hosts if name in host.virsh("list", "--name").split()]


def boots(lab: Lab, name: str) -> list[str]:
    """Ids of the boots that the VM's consoles tell of, over all hosts."""
    lines = (line for host in lab.hosts for line in host.console(name).splitlines())
    return [line.split()[-1] for line in lines if line.startswith("lab-guest boot ")]


def ticks(lab: Lab, name: str) -> int:
    """Ticks that the VM's consoles tell of."""
    return sum(line.startswith("tick ") for host in lab.hosts for line in host.console(name).splitlines())

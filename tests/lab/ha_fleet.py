"""A fleet with high availability on lab hosts: devices, secrets, policy, VMs, the daemon, and what is seen of it."""

from __future__ import annotations

import subprocess
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.ledger.store import Ledger
from reconciler.model.health import FenceAttempt, FenceProof
from tests.lab.bmc import CIPHER, USER
from tests.lab.controller import Controller, boots, facility_specs, stop, ticks, vm_spec
from tests.lab.copies import holders
from tests.lab.fixtures import with_bmcs
from tests.lab.guest import tiny_image
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, wait_for
from tests.lab.namespaces import command_lines, parent_of

VMS = tuple(f"web-{number}" for number in range(1, 5))
"""Four on three hosts: one host has two."""
QUIET_PERIOD = "1s"
"""The product's default is 60: it is for the moment after a controller's start, which a test has no time for."""


@dataclass
class HaFleet:
    """A controller of all hosts of a lab, with its daemon."""

    lab: Lab
    controller: Controller
    vms: tuple[str, ...]
    log: Path
    daemon: subprocess.Popen[bytes] | None = field(default=None, init=False)

    # -- the controller --------------------------------------------------------------------------------------------
    def create(self) -> None:
        """The VMs run, and every fence device has passed its test."""
        self.controller.apply()
        tested = self.controller.ask("fence", "test", "--all")
        assert tested.code == 0, f"fence test: {tested.out}{tested.err}"

    def start_daemon(self) -> None:
        """Start it unless it runs."""
        if self.daemon is None or self.daemon.poll() is not None:
            self.daemon = self.controller.start("run", "--log-format", "json", log=self.log)

    def kill_daemon(self) -> None:
        """Kill -9, as an input like any other."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None

    def stop_daemon(self) -> int:
        """Ask it to end; its exit code."""
        assert self.daemon is not None
        code = stop(self.daemon)
        self.daemon = None
        return code

    def settle(self, seconds: float = 90) -> None:
        """Heal whatever is broken, and wait until all hosts are online with every VM running once and nothing to do."""
        self.lab.start_bmcs()
        for host in self.lab.hosts:
            host.network_restore()
            if host.is_on:
                host.thaw_all()
                host.start_libvirtd()
            host.power_on()
        self.start_daemon()
        wait_for(self._is_settled, seconds, lambda: f"not settled: {self.health()} {self.where()} {self._log_end()}")

    def _is_settled(self) -> bool:
        return (
            set(self.health().values()) == {"online"}
            and all(len(hosts) == 1 for hosts in self.where().values())
            and not (plan := self.controller.plan(whole=False))["actions"]
            and not plan["unmet"]
        )

    # -- what is seen ----------------------------------------------------------------------------------------------
    def status(self) -> dict[str, Any]:
        """`status --json`."""
        status: dict[str, Any] = self.controller.run("status", "--json").json()
        return status

    def health(self) -> dict[str, str]:
        """Health by host, as `status` tells it."""
        return {host["name"]: host["health"] for host in self.status()["hosts"]}

    def where(self) -> dict[str, list[str]]:
        """Hosts that are on and run it, by VM: asked past the network."""
        guests = guests_of(self.lab.hosts)
        return {vm: [host for host, names in guests.items() if vm in names] for vm in self.vms}

    def fullest(self) -> tuple[LabHost, list[str]]:
        """The host with the most VMs, and those."""
        homes = {vm: hosts[0] for vm, hosts in self.where().items() if hosts}
        name, _ = Counter(homes.values()).most_common(1)[0]
        return self.lab.host(name), sorted(vm for vm, home in homes.items() if home == name)

    def runs_elsewhere(self, vms: Iterable[str], lost: LabHost) -> bool:
        """Whether each of them runs on one host, not on the lost one."""
        guests = guests_of(host for host in self.lab.hosts if host.name != lost.name)
        return all(sum(vm in names for names in guests.values()) == 1 for vm in vms)

    def wait_until_elsewhere(self, vms: Iterable[str], lost: LabHost, seconds: float = 60) -> None:
        """Until each of them runs on one host, not on the lost one."""
        names = tuple(vms)
        wait_for(
            lambda: self.runs_elsewhere(names, lost),
            seconds,
            lambda: f"not on another host than {lost.name}: {self.where()} {self._log_end()}",
        )

    def wait_until_booted(self, since: Mapping[str, int] | None = None, *, again: Iterable[str] = ()) -> dict[str, int]:
        """Until each guest ticks, those of `again` after one boot more than in `since`; boots by VM."""
        wanted = {vm: (since or {}).get(vm, 1) for vm in self.vms}
        wanted |= {vm: wanted[vm] + 1 for vm in again}
        # A guest that was started and has not told of its boot yet would be counted by the next look only.
        ticked = {vm: ticks(self.lab, vm) for vm in self.vms}
        wait_for(
            lambda: all(
                len(boots(self.lab, vm)) >= count and ticks(self.lab, vm) > ticked[vm] for vm, count in wanted.items()
            ),
            120,
            lambda: f"not booted as often as {wanted}: { {vm: len(boots(self.lab, vm)) for vm in self.vms} }",
        )
        return {vm: len(boots(self.lab, vm)) for vm in self.vms}

    def copies(self) -> dict[str, list[int]]:
        """Pids of the QEMU processes that may write to the VM's disk, by VM."""
        return holders(self.lab, self.vms)

    # -- fencing ---------------------------------------------------------------------------------------------------
    def confirm(self, host: LabHost) -> None:
        """What a human does who has seen to it that the host is off."""
        ran = self.controller.ask("fence", "confirm", host.name, "--reason", "pulled both power cords", "--yes")
        assert ran.code == 0, ran.err

    def proof(self, host: LabHost) -> FenceProof | None:
        """Of its open incident."""
        with self._ledger() as ledger:
            return ledger.proof(host.name)

    def kind_of_proof(self, host: LabHost) -> str | None:
        """Of that proof; None without one."""
        proof = self.proof(host)
        return None if proof is None else proof.kind

    def attempts(self, host: LabHost) -> tuple[FenceAttempt, ...]:
        """Of its open incident, newest first; none without one."""
        with self._ledger() as ledger:
            incident = ledger.incident(host.name)
            return tuple(
                attempt
                for attempt in ledger.attempts(host.name)
                if incident is not None and attempt.incident == incident.id
            )

    def wait_until_suspect(self, host: LabHost) -> None:
        """Until it is silent, soon enough to heal it: `status` may take longer than a host is no more than suspect."""

        def is_suspect() -> bool:
            with self._ledger() as ledger:
                return ledger.view().health[host.name].state == "suspect"

        wait_for(is_suspect, 30, lambda: f"{host.name} is not suspect: {self.health()} {self._log_end()}")

    def wait_until_fencing_failed(self, host: LabHost) -> None:
        """Until an attempt of its open incident has come to nothing."""
        wait_for(
            lambda: any(attempt.ended and attempt.end != "confirmed" for attempt in self.attempts(host)),
            60,
            "no attempt has failed",
        )

    def agents_running(self, host: LabHost) -> list[int]:
        """Pids of the daemon's fence agents, and of programs that talk to the host's BMC."""
        address = self.lab.bmc(host.name).address
        ours = None if self.daemon is None else self.daemon.pid
        return [
            pid
            for pid, words in command_lines()
            if address in words or (any("/fence_" in word for word in words) and parent_of(pid) == ours)
        ]

    def timeline(self, vm: str) -> list[tuple[str, float]]:
        """What happened to it and its host, in order, as `why --json` tells it: event and wall time."""
        story = self.controller.ask("why", f"vm/{vm}", "--json").json()
        return [(event["event"], event["at"]) for event in story["timeline"]]

    def _ledger(self) -> Ledger:
        return Ledger.open_readonly(self.controller.state)

    def _log_end(self) -> str:
        return "\n" + "\n".join(self.log.read_text().splitlines()[-12:]) if self.log.exists() else ""


@contextmanager
def running_ha_fleet(lab: Lab, directory: Path, *, image: Path | None = None) -> Iterator[HaFleet]:
    """`VMS` with their daemon; a silent device fails soon, but not before a confirmation, which asks it, is in."""
    fleet = make_ha_fleet(with_bmcs(lab), directory, VMS, policy={"fenceTimeout": "20s"}, image=image)
    try:
        fleet.create()
        fleet.start_daemon()
        yield fleet
    finally:
        fleet.kill_daemon()
        lab.reset()


def make_ha_fleet(
    lab: Lab,
    directory: Path,
    vms: Iterable[str],
    *,
    policy: Mapping[str, str] | None = None,
    image: Path | None = None,
    device: Mapping[str, str] | None = None,
) -> HaFleet:
    """A fleet of the lab's hosts, each fenced by its BMC, with `vms` that are recovered.

    `policy` is more of the configuration's `ha`; `device` more parameters of the fence devices.
    """
    controller = Controller(directory / "specs", directory / "state", config=directory / "config.yaml")
    controller.specs.mkdir(parents=True)
    credentials = directory / "credentials"
    credentials.mkdir(mode=0o700)
    controller.environment["CREDENTIALS_DIRECTORY"] = str(credentials)
    for bmc in lab.bmcs:
        secret = credentials / f"{bmc.host.name}-bmc"
        secret.write_text(bmc.password)
        secret.chmod(0o600)
    ha = {"quietPeriod": QUIET_PERIOD, **(policy or {})}
    (directory / "config.yaml").write_text("ha:\n" + "".join(f"  {key}: {value}\n" for key, value in ha.items()))
    controller.write("hosts.yaml", fenced_host_specs(lab, device or {}))
    controller.write("facilities.yaml", facility_specs(lab, image or tiny_image()))
    names = tuple(vms)
    for name in names:
        controller.write(f"vms/{name}.yaml", vm_spec(name, extra="ha: {enabled: true}"))
    return HaFleet(lab, controller, names, directory / "daemon.log")


def fenced_host_specs(lab: Lab, device: Mapping[str, str]) -> str:
    """Host specs with one fence device each: its BMC, by fence_ipmilan with the agent's defaults and `device`."""
    return "---\n".join(_fenced_host_spec(lab, host, device) for host in lab.hosts)


def _fenced_host_spec(lab: Lab, host: LabHost, device: Mapping[str, str]) -> str:
    address = lab.bmc(host.name).address
    given = {"ip": address, "username": USER, "lanplus": "1", "cipher": CIPHER, **device}
    parameters = ", ".join(f'{key}: "{value}"' for key, value in given.items())
    return textwrap.dedent(f"""\
        apiVersion: reconciler/v1
        kind: Host
        metadata: {{name: {host.name}}}
        spec:
          uri: {host.uri}
          reserved: {{memory: 1MiB}}
          fencing:
            - agent: fence_ipmilan
              parameters: {{{parameters}}}
              secrets: {{password: {{file: {host.name}-bmc}}}}
        """)


def guests_of(hosts: Iterable[LabHost]) -> dict[str, set[str]]:
    """VMs that run, by host; hosts that are off or hung run nothing that could be asked about."""
    return {
        host.name: set(host.virsh("list", "--name", "--state-running").split())
        for host in hosts
        if host.is_on and not host.is_hung
    }

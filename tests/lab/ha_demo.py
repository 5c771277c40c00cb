"""`make demo-ha`: three hosts, six VMs, one power cut; the VMs of the dead host run again elsewhere, and never twice.

With DEMO_ONCE=1 it cleans up and ends by itself; exit code 0 only if all of that held.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.lab.copies import watched
from tests.lab.demo import Stage, show
from tests.lab.guest import tiny_image
from tests.lab.ha_fleet import QUIET_PERIOD, HaFleet, make_ha_fleet
from tests.lab.host import LabHost
from tests.lab.hosts import Lab

VMS = [f"web-{number}" for number in range(1, 7)]
_LINES_OF_A_CONSOLE = 3


def bring_up(stage: Stage, stack: ExitStack, directory: Path) -> HaFleet:
    """Three hosts with BMCs, six VMs that have booted, and the daemon."""
    with stage.step("Lab: three hosts, each with a libvirtd, a network and a real BMC (ipmi_sim) of its own") as say:
        image = tiny_image()
        lab = stack.enter_context(Lab.up(3))
        lab.start_bmcs()
        for bmc in lab.bmcs:
            say(f"{bmc.host.name}  {bmc.host.uri}  BMC at {bmc.address}")
    fleet = make_ha_fleet(lab, directory, VMS, image=image)
    with stage.step(f"Fleet: six VMs with ha.enabled, every fence device tested; quiet period {QUIET_PERIOD}") as say:
        fleet.create()
        say(fleet.controller.ask("fence", "status").out.strip().replace("\n", "\n      "))
    with stage.step("Daemon: reconciler run, until every VM has booted and nothing is left to do") as say:
        stack.callback(fleet.kill_daemon)
        fleet.start_daemon()
        fleet.wait_until_booted()
        fleet.settle()
        for vm, hosts in fleet.where().items():
            say(f"{vm} on {', '.join(hosts)}")
    return fleet


def cut_power(stage: Stage, fleet: HaFleet) -> tuple[LabHost, list[str]]:
    """The link goes down, then every process of the host dies; returns once its VMs have booted elsewhere."""
    lost, vms = fleet.fullest()
    booted = fleet.wait_until_booted()
    with stage.step(f"Power cut: {lost.name}, with {' and '.join(vms)}") as say:
        begun = time.time()
        lost.power_cut()
        fleet.wait_until_elsewhere(vms, lost)
        say(f"running elsewhere after {time.time() - begun:.1f} s")
        fleet.wait_until_booted(booted, again=vms)
        say(f"booted elsewhere after {time.time() - begun:.1f} s")
        for vm in vms:
            tell_timeline(fleet, vm, begun, say)
            tell_console(fleet, vm, say)
    return lost, vms


def tell_timeline(fleet: HaFleet, vm: str, begun: float, say: Callable[[str], None]) -> None:
    """What `why --json` knows of it, counted from the cut."""
    say(f"{vm}:")
    for event, at in fleet.timeline(vm):
        say(f"  {at - begun:+6.1f} s  {event}")


def tell_console(fleet: HaFleet, vm: str, say: Callable[[str], None]) -> None:
    """What its guest said first, booting on the host where it runs now."""
    (home,) = fleet.where()[vm]
    say(f"  serial console on {home}:")
    lines = fleet.lab.host(home).console(vm).splitlines()
    boot = max(number for number, line in enumerate(lines) if line.startswith("lab-guest boot "))
    for line in lines[boot : boot + _LINES_OF_A_CONSOLE]:
        say(f"    {line}")


def bring_back(stage: Stage, fleet: HaFleet, lost: LabHost, vms: list[str]) -> None:
    """The host boots with its old definitions on its disk; they are removed before it is used again."""
    with stage.step(f"Power on: {lost.name} returns with the old {' and '.join(vms)} on its disk") as say:
        lost.power_on()
        fleet.settle()
        left = sorted(lost.virsh("list", "--all", "--name").split())
        say(f"{lost.name} is online; VMs on it: {', '.join(left) or 'none'}; the disks stayed")
        if set(left) & set(vms):
            raise TimeoutError(f"{lost.name} still has {left}")


def run() -> int:
    """The demo; returns its exit code."""
    once = os.environ.get("DEMO_ONCE") == "1"
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    stage = Stage(6)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconciler-demo-", dir="/var/tmp")))
        log = directory / "daemon.log"
        try:
            fleet = bring_up(stage, stack, directory)
            with watched(fleet.lab, VMS) as copies:
                lost, vms = cut_power(stage, fleet)
                bring_back(stage, fleet, lost, vms)
        except (TimeoutError, AssertionError):
            show(log)
            raise
        with stage.step("Status, and what was seen of the VMs' disk locks each 0.2 s") as say:
            print(fleet.controller.run("status").out, flush=True)
            say(f"{copies.samples} looks at all hosts, {len(copies.twice)} with a VM that ran twice")
        if not once:
            look_around(fleet, log)
            ended.wait()
        code = fleet.stop_daemon()
        print(f"Daemon ended with {code}; lab taken down. {stage.total():.0f} s in all.", flush=True)
        return code or bool(copies.twice)


def look_around(fleet: HaFleet, log: Path) -> None:
    """How to look, and what to break next."""
    words = f"--specs {fleet.controller.specs} --config {fleet.controller.config} --state-dir {fleet.controller.state}"
    program = ".venv/bin/reconciler"
    print(
        f"""\
Break more, from another terminal in this folder, and watch:
  export RECONCILER_LAB_ROOT={fleet.lab.root}
  export CREDENTIALS_DIRECTORY={fleet.controller.environment["CREDENTIALS_DIRECTORY"]}    # for `fence test`
  .venv/bin/python -m tests.lab network-cut h2    # fenced first, then its VMs start elsewhere
  .venv/bin/python -m tests.lab bmc-hang h3       # with network-cut h3: no proof, nothing restarts
  {program} status {words}
  {program} why vm/web-1 {words}
  tail -f {log}

Ctrl-C ends the demo and removes all of it.""",
        flush=True,
    )


def main() -> None:
    """Run the demo and say in one line what went wrong, if anything did."""
    try:
        code = run()
    except (TimeoutError, AssertionError) as error:
        print(f"demo failed: {error}", file=sys.stderr)
        code = 1
    raise SystemExit(code)


if __name__ == "__main__":
    main()

"""`make demo`: a copy of specs/ becomes running VMs on three real lab hosts, and goes on converging while you edit it.

With DEMO_ONCE=1 it cleans up and ends by itself; exit code 0 only if every VM booted and planning again was empty.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from reconciler.specfiles.loader import load
from tests.lab.controller import Controller, boots, homes, stop
from tests.lab.guest import tiny_image
from tests.lab.hosts import Lab, wait_for

ROOT = Path(__file__).resolve().parents[2]
BOOT_DEADLINE = 240.0


class Stage:
    """Numbered steps on standard output, each with how long it took."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._begun = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """One step; what is said within is indented below its title."""
        self._number += 1
        begun = time.monotonic()
        print(f"[{self._number}/{self._total}] {title}", flush=True)
        yield lambda line: print(f"      {line}", flush=True)
        print(f"      done in {time.monotonic() - begun:.1f} s", flush=True)

    def total(self) -> float:
        """Seconds since the first step."""
        return time.monotonic() - self._begun


def adapt(specs: Path, lab: Lab, image: Path) -> None:
    """Point a copy of the quick-start specs at the lab: its hosts, folder and image, and emulation for KVM."""
    uris = {host.name: host.uri for host in lab.hosts}
    replacements = (
        (r"qemu\+ssh://root@(h\d)\.example/system", lambda match: uris[match[1]]),
        (r"(?m)^(\s+)path: .*$", lambda match: f"{match[1]}path: {image}"),
        (r"(?m)^(\s+)target: .*$", lambda match: f"{match[1]}target: {lab.shared}/vms"),
        (
            r"(?m)^(kind: VirtualMachine\n(?:.*\n)*?spec:\n)",
            lambda match: f"{match[1]}  domainType: qemu  # the lab emulates; real hosts use kvm\n",
        ),
    )
    for file in specs.rglob("*.yaml"):
        text = file.read_text()
        for pattern, replacement in replacements:
            text = re.sub(pattern, replacement, text)
        file.write_text(text)


def copy_specs(directory: Path, lab: Lab, image: Path) -> Path:
    """A copy of specs/ without the examples, adapted to the lab."""
    specs = directory / "specs"
    shutil.copytree(ROOT / "specs", specs, ignore=shutil.ignore_patterns("examples"))
    adapt(specs, lab, image)
    return specs


def wait_until_booted(lab: Lab, names: list[str], daemon: subprocess.Popen[bytes], say: Callable[[str], None]) -> None:
    """Until each VM's serial console told of a boot; says so one by one."""
    begun = time.monotonic()
    missing = list(names)

    def next_one() -> str | None:
        if daemon.poll() is not None:
            raise SystemExit(f"the daemon ended with {daemon.returncode}; its log is above")
        return next((name for name in missing if boots(lab, name)), None)

    while missing:
        left = BOOT_DEADLINE - (time.monotonic() - begun)
        name = wait_for(next_one, left, lambda: f"not booted: {', '.join(missing)}")
        missing.remove(name)
        say(f"{time.monotonic() - begun:5.1f} s  {name} booted on {homes(lab, name)[0]}")


def wait_until_settled(controller: Controller) -> str:
    """Until planning is empty with nothing waiting; the plan's text."""

    def settled() -> str | None:
        ran = controller.run("plan")
        return ran.out if ran.code == 0 and not controller.plan(whole=False)["unmet"] else None

    return wait_for(settled, 60, "planning again is not empty")


def show(path: Path) -> None:
    """What a log holds, for a reader who has to find out what went wrong."""
    with suppress(OSError):
        sys.stdout.write(path.read_text())


def run() -> int:
    """The demo; returns its exit code."""
    once = os.environ.get("DEMO_ONCE") == "1"
    stage = Stage(6)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconciler-demo-", dir="/var/tmp")))
        directory.chmod(0o755)
        with stage.step("Guest image: a tiny Linux that boots from disk and ticks on its serial console") as say:
            image = tiny_image()
            say(f"{image} ({image.stat().st_size >> 20} MiB)")
        with stage.step(
            "Lab: three hosts, each with a libvirtd and a network of its own, and one shared folder"
        ) as say:
            lab = stack.enter_context(Lab.up(3))
            for host in lab.hosts:
                say(f"{host.name}  {host.uri}")
        with stage.step("Specs: a copy of specs/ for these hosts") as say:
            controller = Controller(copy_specs(directory, lab, image), directory / "state")
            names = sorted(load(controller.specs, fleet="default").vms)
            say(f"{controller.specs}: {len(names)} VMs: {', '.join(names)}")
            checked = controller.run("validate")
            if checked.code != 0:
                say(checked.out + checked.err)
                return 1
            say(checked.out.strip().splitlines()[-1])
        log = directory / "daemon.log"
        with stage.step("Daemon: reconciler run, until every VM has booted") as say:
            daemon = controller.start("run", log=log)
            stack.callback(lambda: daemon.poll() is None and stop(daemon))
            try:
                wait_until_booted(lab, names, daemon, say)
            except (TimeoutError, SystemExit):
                show(log)
                raise
        with stage.step("Plan: nothing left to do") as say:
            try:
                say(wait_until_settled(controller).strip().replace("\n", "\n      "))
            except TimeoutError:
                show(log)
                raise
        with stage.step("Status"):
            print(controller.run("status").out, flush=True)
        if not once:
            look_around(controller, lab, log)
            ended.wait()
        code = stop(daemon)
        print(f"Daemon ended with {code}; lab taken down. {stage.total():.0f} s in all.", flush=True)
        return code


def look_around(controller: Controller, lab: Lab, log: Path) -> None:
    """How to look, and what to try next."""
    words = f"--state-dir {controller.state}"
    program = ".venv/bin/reconciler"
    print(
        f"""\
Look around, from another terminal in this folder:
  virsh -c {lab.hosts[0].uri} list --all
  .venv/bin/python -m tests.lab console --root {lab.root} h1 web-1
  tail -f {log}

Try next, and watch it converge:
  sed -i 's/memory: 256MiB/memory: 320MiB/' {controller.specs}/vms/batch.yaml
  {program} plan {controller.specs} {words}
  virsh -c {lab.hosts[0].uri} destroy NAME        # comes back within seconds
  {program} status {controller.specs} {words}
  {program} why VirtualMachine/web-1 --specs {controller.specs} {words}

Ctrl-C ends the demo and removes all of it.""",
        flush=True,
    )


def main() -> None:
    """Run the demo and say in one line what went wrong, if anything did."""
    try:
        code = run()
    except TimeoutError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        code = 1
    raise SystemExit(code)


if __name__ == "__main__":
    main()

"""kill -9 is an input like any other."""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.lab.controller import POOL, Controller, blank_image, host_specs, make_controller, vm_spec
from tests.lab.hosts import Lab

pytestmark = pytest.mark.lab

VMS = ["web-1", "web-2"]
KILLS = 20


def _volumes(lab: Lab) -> list[str]:
    return sorted(path.name for path in (lab.shared / POOL).iterdir())


def _domains(lab: Lab, *which: str) -> list[str]:
    """Names of all domains of all hosts: one that is defined twice is there twice."""
    return sorted(name for host in lab.hosts for name in host.virsh("list", "--name", *which).split())


def _uninterrupted(lab: Lab, directory: Path) -> tuple[Controller, list[str], float]:
    """A fleet applied without a crash: its volumes, and how long it took."""
    controller = _fleet(lab, directory)
    begun = time.monotonic()
    controller.apply()
    took = time.monotonic() - begun
    return controller, _volumes(lab), took


def _fleet(lab: Lab, directory: Path) -> Controller:
    controller = make_controller(lab, directory, image=blank_image(directory))
    controller.write("hosts.yaml", host_specs(lab, ["h1", "h2"]))
    for name in VMS:
        clone = "full" if name == "web-2" else "linked"
        spec = vm_spec(name, extra="cloudInit:\n  userData: |\n    #cloud-config\n    {}\n")
        controller.write(f"vms/{name}.yaml", spec.replace("size: 96MiB", f"size: 96MiB, clone: {clone}"))
    return controller


@pytest.mark.timeout(600)  # twenty times over, and the machine may be busy
def test_apply_killed_anywhere_ends_in_the_same_state_when_run_again(fresh_lab: Lab, tmp_path: Path) -> None:
    """After kill -9 at each of 20 random instants the next apply ends the same: no orphan volume, no twin VM."""
    seed = int(os.environ.get("RECONCILER_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"RECONCILER_CRASH_SEED={seed}")
    instants = random.Random(seed)  # noqa: S311  a schedule, not a secret
    _, expected, took = _uninterrupted(fresh_lab, tmp_path / "reference")

    for number in range(KILLS):
        fresh_lab.reset()
        controller = _fleet(fresh_lab, tmp_path / f"kill-{number}")
        process = controller.start("apply", "--yes", log=tmp_path / f"kill-{number}.log")
        time.sleep(instants.uniform(0.2, took))
        process.kill()
        process.wait()
        controller.apply()

        assert _volumes(fresh_lab) == expected, f"kill {number}"
        assert _domains(fresh_lab, "--all") == _domains(fresh_lab) == VMS, f"kill {number}"
        assert controller.plan()["actions"] == [], f"kill {number}"


def test_a_second_controller_says_who_holds_the_state_directory(fresh_lab: Lab, tmp_path: Path) -> None:
    """While the daemon runs, apply is refused with its pid; plan works beside it."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    daemon = controller.start("run", log=tmp_path / "daemon.log")
    try:
        _wait_for_lock(controller)
        refused = controller.run("apply", "--yes")
        beside = controller.run("plan")
    finally:
        daemon.terminate()
        ended = daemon.wait(30)

    assert refused.code == 1
    assert re.search(rf"pid {daemon.pid}\b", refused.err), refused.err
    assert beside.code in (0, 2)
    assert ended == 0


def _wait_for_lock(controller: Controller) -> None:
    from tests.lab.hosts import wait_for

    lock = controller.state / "controller.lock"
    wait_for(lambda: lock.exists() and lock.stat().st_size > 0, 20, "the daemon did not take control")

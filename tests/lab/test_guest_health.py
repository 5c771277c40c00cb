"""Guests that end, or hang: what the daemon does about the former, and says of the latter."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.lab.controller import Controller, blank_image, boots, homes, make_controller, running, stop, vm_spec
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.lab


def _status(controller: Controller, name: str) -> dict[str, Any]:
    vms = controller.run("status", "--json").json()["vms"]
    found: dict[str, Any] = next(vm for vm in vms if vm["name"] == name)
    return found


def _is_left_alone_after_a_crash(controller: Controller, lab: Lab, name: str) -> bool:
    """Kill the only guest's QEMU wherever it runs; whether it is said to be left alone by now."""
    for host in lab.hosts:
        if name in host.virsh("list", "--name", "--state-running"):
            for pid in host.guests():
                os.kill(pid, signal.SIGKILL)
    return "left alone" in _status(controller, name)["message"]


def test_a_guest_that_crashes_again_and_again_is_left_alone_until_it_is_resumed(fresh_lab: Lab, tmp_path: Path) -> None:
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    controller.config = tmp_path / "config.yaml"
    controller.config.write_text("ha: {maxRestarts: 2, quietPeriod: 0s}\n")
    log = tmp_path / "daemon.log"
    daemon = controller.start("run", "--log-format", "json", log=log)
    try:
        wait_for(lambda: running(fresh_lab, "web-1"), 60, "web-1 is not started")
        wait_for(
            lambda: _is_left_alone_after_a_crash(controller, fresh_lab, "web-1"), 120, "it is started again and again"
        )
        status = _status(controller, "web-1")
        assert controller.ask("resume", "VirtualMachine/web-1").code == 0
        wait_for(lambda: running(fresh_lab, "web-1"), 30, "web-1 does not run after it was resumed")
    finally:
        code = stop(daemon)

    assert code == 0, log.read_text()
    assert status["sync"] == "blocked"
    assert "it crashed after 2 restarts within 10m" in status["message"]


def test_a_guest_whose_agent_hangs_is_told_of_and_left_alone(fresh_lab: Lab, tmp_path: Path) -> None:
    """It has a watchdog too, which nobody in it feeds, so it never acts."""
    controller = make_controller(fresh_lab, tmp_path)
    extra = "guestAgent: {liveness: 10s}\nwatchdog: {action: poweroff}"
    controller.write("vms/web-1.yaml", vm_spec("web-1", extra=extra))
    log = tmp_path / "daemon.log"
    daemon = controller.start("run", "--log-format", "json", log=log)
    try:
        wait_for(lambda: boots(fresh_lab, "web-1"), 120, "web-1 has not booted")
        host = fresh_lab.host(homes(fresh_lab, "web-1")[0])
        wait_for(lambda: "state='connected'" in host.virsh("dumpxml", "web-1"), 60, "its agent does not run")
        wait_for(lambda: _status(controller, "web-1")["health"] == "running", 60, "web-1 is not healthy")
        script = "p=$(pidof qemu-ga); sleep 1; kill -STOP $p; sleep 45; kill -CONT $p"
        request = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", script]}}
        host.virsh("qemu-agent-command", "web-1", json.dumps(request))

        wait_for(lambda: _status(controller, "web-1")["health"] == "not-answering", 60, "its silence is not told")
        silent = _status(controller, "web-1")
        wait_for(lambda: _status(controller, "web-1")["health"] == "running", 60, "it is still said to be silent")
    finally:
        code = stop(daemon)

    assert code == 0, log.read_text()
    assert silent["sync"] == "in-sync"
    assert "<watchdog model='i6300esb' action='poweroff'>" in host.virsh("dumpxml", "web-1")
    assert len(boots(fresh_lab, "web-1")) == 1

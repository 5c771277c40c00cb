"""The daemon on real hosts: it converges what is committed, and keeps its hands off what is uncertain."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.lab.controller import Controller, blank_image, homes, make_controller, running, stop, vm_spec
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.lab


@contextmanager
def daemon(controller: Controller, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon, ended properly; its exit code must be 0."""
    process = controller.start("run", "--log-format", "json", log=log)
    try:
        yield process
    except BaseException:
        process.kill()
        process.wait()
        raise
    assert stop(process) == 0, log.read_text()


def _is_running(lab: Lab, name: str, seconds: float = 60) -> None:
    wait_for(lambda: running(lab, name), seconds, f"{name} does not run")


def _scrape(log: Path) -> str:
    """What Prometheus is told; a scrape that waited for a host that hangs would find its patience at an end."""
    served = next(line for line in log.read_text().splitlines() if '"metrics.served"' in line)
    with urlopen(f"http://{json.loads(served)['listen']}/metrics", timeout=3) as page:
        return str(page.read().decode())


def _was_started(log: Path, name: str) -> None:
    """Wait until its start has ended: a VM that libvirt is still starting can't be meddled with."""

    def has_ended() -> bool:
        lines = (json.loads(line) for line in log.read_text().split("\n")[:-1] if '"action.done"' in line)
        return any((line["action"], line["object"]) == ("start-domain", f"VirtualMachine/{name}") for line in lines)

    wait_for(has_ended, 60, lambda: f"{name} was not started: {log.read_text()}")


def test_specs_that_change_converge_and_broken_ones_hold(fresh_lab: Lab, tmp_path: Path) -> None:
    """A new file is a new VM; a broken one keeps its last good form; an empty directory removes nothing."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    with daemon(controller, tmp_path / "daemon.log"):
        _is_running(fresh_lab, "web-1")

        aside = controller.specs / "vms" / ".web-2.tmp"
        aside.write_text(vm_spec("web-2"))
        aside.rename(controller.specs / "vms" / "web-2.yaml")
        _is_running(fresh_lab, "web-2")

        controller.write("vms/web-1.yaml", vm_spec("web-1").replace("memory:", "memroy:"))
        controller.write("vms/web-3.yaml", vm_spec("web-3"))
        _is_running(fresh_lab, "web-3")
        status = controller.run("status")
        assert "memroy" in controller.run("validate").err + controller.run("validate").out
        assert running(fresh_lab, "web-1")
        assert "last good" in status.out

        shutil.rmtree(controller.specs)
        controller.specs.mkdir()
        log = tmp_path / "daemon.log"
        wait_for(lambda: '"specs.removal_hold"' in log.read_text(), 30, "the empty directory was not seen")
        assert all(running(fresh_lab, name) for name in ("web-1", "web-2", "web-3"))


def test_what_people_do_with_virsh_is_mended_within_seconds(fresh_lab: Lab, tmp_path: Path) -> None:
    """A destroyed VM runs again by the event; a changed memory setting, of which libvirt says nothing, by the sweep."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    with daemon(controller, tmp_path / "daemon.log"):
        _was_started(tmp_path / "daemon.log", "web-1")
        home = homes(fresh_lab, "web-1")
        host = fresh_lab.host(home[0])

        host.virsh("destroy", "web-1")
        _is_running(fresh_lab, "web-1", 30)
        host.virsh("setmem", "web-1", "128MiB", "--config")
        mended = wait_for(
            lambda: "<currentMemory unit='KiB'>163840<" in host.virsh("dumpxml", "web-1", "--inactive"),
            40,
            "memory was not set back",
        )

    assert mended
    assert homes(fresh_lab, "web-1") == home


def test_a_host_that_restarts_libvirtd_is_back_within_seconds(fresh_lab: Lab, tmp_path: Path) -> None:
    """The connection is opened anew; a VM destroyed afterwards comes back, so events and calls both work again."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    with daemon(controller, tmp_path / "daemon.log"):
        _was_started(tmp_path / "daemon.log", "web-1")
        host = fresh_lab.host(homes(fresh_lab, "web-1")[0])

        host.restart_libvirtd()
        # A libvirtd that can't get hold of a guest again in time ends it: then it is off for a moment.
        _is_running(fresh_lab, "web-1", 60)
        host.virsh("destroy", "web-1")

        _is_running(fresh_lab, "web-1", 40)


def test_a_hung_host_delays_nobody_and_is_back_soon(fresh_lab: Lab, tmp_path: Path) -> None:
    """With one libvirtd stopped a new VM starts elsewhere; once it answers again its own drift is mended."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    controller.environment["RECONCILER_METRICS_LISTEN"] = "127.0.0.1:0"
    with daemon(controller, tmp_path / "daemon.log"):
        _was_started(tmp_path / "daemon.log", "web-1")
        hung = fresh_lab.host(homes(fresh_lab, "web-1")[0])

        hung.hang()
        scraped = _scrape(tmp_path / "daemon.log")
        controller.write("vms/web-2.yaml", vm_spec("web-2"))
        others = [host for host in fresh_lab.hosts if host.name != hung.name]
        wait_for(
            lambda: any("web-2" in host.virsh("list", "--name") for host in others),
            60,
            "web-2 does not run on the other hosts",
        )
        hung.resume()
        hung.virsh("destroy", "web-1")

        _is_running(fresh_lab, "web-1", 40)
        assert homes(fresh_lab, "web-1") == [hung.name]
        assert f'reconciler_host_last_success_timestamp_seconds{{host="{hung.name}"}}' in scraped


def test_sigterm_during_an_apply_hands_back(fresh_lab: Lab, tmp_path: Path) -> None:
    """Ended in the middle of its first convergence it stops in seconds with 0, and the next one finishes the work."""
    names = [f"web-{number}" for number in range(1, 5)]
    controller = make_controller(fresh_lab, tmp_path, names, image=blank_image(tmp_path))
    log = tmp_path / "daemon.log"
    with daemon(controller, log):
        wait_for(lambda: "action.started" in log.read_text(), 30, "nothing was begun")

    controller.apply()

    assert all(len(running(fresh_lab, name)) == 1 for name in names)


def test_systemd_is_told_of_readiness_and_fed(fresh_lab: Lab, tmp_path: Path) -> None:
    """READY=1 comes after the first pass with a sentence, then pings come."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(60)
        controller.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "4000000"}
        with daemon(controller, tmp_path / "daemon.log"):
            messages: list[str] = []
            while not any("WATCHDOG=1" in message for message in messages):
                messages.append(listening.recv(4096).decode())

    assert any(message.startswith("READY=1\nSTATUS=") for message in messages)


def test_a_full_clone_of_one_vm_does_not_hold_up_another(fresh_lab: Lab, tmp_path: Path) -> None:
    """While a large image is uploaded for one VM, a spec written later converges."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    big = tmp_path / "big.raw"
    with big.open("wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(768):
            file.write(block)
    with daemon(controller, tmp_path / "daemon.log"):
        _is_running(fresh_lab, "web-1")
        controller.write(
            "big.yaml",
            f"apiVersion: reconciler/v1\nkind: Image\nmetadata: {{name: big}}\n"
            f"spec: {{source: {{path: {big}}}, format: raw}}\n---\n"
            + vm_spec("big-1").replace("image: tiny, size: 96MiB", "image: big, clone: linked"),
        )
        log = tmp_path / "daemon.log"
        wait_for(lambda: '"action": "upload-image"' in log.read_text(), 60, "the upload was not begun")

        controller.write("vms/web-2.yaml", vm_spec("web-2"))

        wait_for(lambda: running(fresh_lab, "web-2"), 60, "web-2 does not run")
        assert wait_for(lambda: running(fresh_lab, "big-1"), 120, "big-1 does not run")

"""A guest goes from host to host and does not notice, whatever dies meanwhile; it is never at two of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.lab.agent import agent_answers, in_guest
from tests.lab.controller import POOL, Controller, boots, homes, make_controller, running, stop, ticks, vm_spec
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, LabError, wait_for

pytestmark = pytest.mark.lab

_MISSED_SECONDS = 2.0
_LONG = "migration: {bandwidth: 8MiB, stallAfter: 8s, compression: xbzrle}\nha: {quietPeriod: 1s}\n"
"""A guest of this size is on its way for a quarter of a minute."""


_TOO_SLOW = "migration: {fallback: cold, bandwidth: 8MiB, deadlineFloor: 2s, deadlinePerGib: 1s}\n"


def _fleet(lab: Lab, directory: Path) -> Controller:
    controller = make_controller(lab, directory)
    controller.config = directory / "config.yaml"
    controller.config.write_text("{}\n")
    local = f"spec: {{type: dir, target: {lab.local}/disks}}"
    controller.write(
        "local.yaml", f"apiVersion: reconciler/v1\nkind: StoragePool\nmetadata: {{name: local}}\n{local}\n"
    )
    return controller


def _place(controller: Controller, name: str, *hosts: str) -> None:
    """On one of `hosts`; `disks-1` has its disks, a linked one and one that is its own, on its host alone."""
    spec = vm_spec(name, extra=f"placement: {{hosts: [{', '.join(hosts)}]}}")
    if name == "disks-1":
        spec = spec.replace(f"pool: {POOL}}}", "pool: local}\n    - {name: data, size: 8MiB, pool: local}")
    controller.write(f"vms/{name}.yaml", spec)


def _pauses(lab: Lab, name: str, over: Event) -> float:
    """The longest time, by our own clock, between two ticks of the guest until `over`; looked at ten times a second."""
    longest, seen, since = 0.0, ticks(lab, name), time.monotonic()
    while not over.wait(0.1):
        now, count = time.monotonic(), ticks(lab, name)
        if count != seen:
            longest, seen, since = max(longest, now - since), count, now
    return max(longest, time.monotonic() - since)


def _numbers(lab: Lab, name: str) -> list[int]:
    """Of the ticks that the guest's consoles tell of, in order."""
    lines = [line.split() for host in lab.hosts for line in host.console(name).splitlines()]
    return sorted(int(words[1]) for words in lines if words[:1] == ["tick"] and len(words) > 3)


def _migrations_begun(host: LabHost, name: str) -> int:
    """As QEMU's log on the host tells."""
    return (host.root / "log" / "qemu" / f"{name}.log").read_text().count("initiating migration")


def _leaves(host: LabHost, name: str) -> bool:
    """Whether a migration of the VM away from the host is under way, and something was sent."""
    with suppress(LabError):
        told = host.virsh("domjobinfo", name)
        return "Outgoing migration" in told and "Data processed" in told
    return False


def test_three_migrations_in_a_row_cost_no_tick_and_local_disks_go_along_whole(fresh_lab: Lab, tmp_path: Path) -> None:
    lab, controller = fresh_lab, _fleet(fresh_lab, tmp_path)
    for name in ("web-1", "disks-1"):
        _place(controller, name, "h1")
    controller.apply()
    wait_for(lambda: min(ticks(lab, "web-1"), ticks(lab, "disks-1")) >= 3, 120, "they have not booted")
    wait_for(lambda: agent_answers(lab.host("h1"), "disks-1"), 60, "no agent")
    fill = "dd if=/dev/urandom of=/dev/vdb bs=1M count=8 2>/dev/null; sync; sha256sum </dev/vdb"
    written = in_guest(lab.host("h1"), "disks-1", fill)

    over = Event()
    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(_pauses, lab, "web-1", over)
        try:
            for host in ("h2", "h3", "h1"):
                _place(controller, "web-1", host)
                assert {action["disruption"] for action in controller.plan()["actions"]} == {"migrate"}
                controller.apply()
                assert homes(lab, "web-1") == running(lab, "web-1") == [host]
        finally:
            over.set()
    _place(controller, "disks-1", "h2")
    controller.apply()

    assert watched.result() <= 1 + _MISSED_SECONDS
    numbers = _numbers(lab, "web-1")
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(boots(lab, "web-1")) == len(boots(lab, "disks-1")) == 1
    assert homes(lab, "disks-1") == running(lab, "disks-1") == ["h2"]
    read_again = "echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/vdb"
    assert in_guest(lab.host("h2"), "disks-1", read_again) == written

    # -- too slow as it runs: shut down, and started there ---------------------------------------------------------
    assert controller.config is not None
    controller.config.write_text(_TOO_SLOW)
    _place(controller, "web-1", "h3")
    assert [action["disruption"] for action in controller.plan()["actions"]] == ["reboot"]
    controller.apply(expect=(0, 1))
    assert running(lab, "web-1") == homes(lab, "web-1") == ["h3"]
    wait_for(lambda: len(boots(lab, "web-1")) == 2, 60, "it has not booted")
    assert not [path.name for path in (lab.host("h1").local / "disks").iterdir() if ".disks-1." in path.name]
    assert controller.plan()["actions"] == []


def test_a_migration_outlives_its_controller_and_its_target(fresh_lab: Lab, tmp_path: Path) -> None:
    """Killed on the way, the next controller follows it; when its target dies it runs on, and goes elsewhere."""
    lab, controller = fresh_lab, _fleet(fresh_lab, tmp_path)
    _place(controller, "web-1", "h1")
    controller.apply()
    wait_for(lambda: ticks(lab, "web-1") >= 3, 120, "it has not booted")
    assert controller.config is not None
    controller.config.write_text(_LONG)

    # -- the controller dies ---------------------------------------------------------------------------------------
    _place(controller, "web-1", "h2")
    first = controller.start("run", log=tmp_path / "first.log")
    wait_for(lambda: _leaves(lab.host("h1"), "web-1"), 60, "no migration")
    compressed = lab.host("h1").virsh("domjobinfo", "web-1")
    first.kill()
    first.wait()
    daemon = controller.start("run", log=tmp_path / "second.log")
    try:
        told = wait_for(lambda: _progress(controller), 20, "status does not tell of it")
        wait_for(lambda: running(lab, "web-1") == ["h2"] == homes(lab, "web-1"), 120, "it has not arrived")
        assert told["source"] == "h1"
        assert told["target"] == "h2"
        assert told["sent"] > 0
        assert told["remaining"] > 0
        assert "Compression cache" in compressed
        assert _migrations_begun(lab.host("h1"), "web-1") == 1

        # -- the target dies -------------------------------------------------------------------------------------------
        wait_for(lambda: not controller.plan()["unmet"], 30, "it is not settled")
        _place(controller, "web-1", "h1", "h3")
        wait_for(lambda: _leaves(lab.host("h2"), "web-1"), 60, "no migration")
        target = next(name for name in ("h1", "h3") if "web-1" in lab.host(name).virsh("list", "--all", "--name"))
        other = "h3" if target == "h1" else "h1"
        lab.host(target).power_cut()
        before = ticks(lab, "web-1")
        wait_for(lambda: ticks(lab, "web-1") > before + 3, 30, "it stands still")
        wait_for(lambda: _confirmed(controller, target), 60, "its death can't be confirmed")
        wait_for(lambda: lab.host(other).virsh("list", "--name", "--state-running").split() == ["web-1"], 120, "")
        wait_for(lambda: "web-1" not in lab.host("h2").virsh("list", "--all", "--name"), 30, "it is still at h2")
        assert len(set(boots(lab, "web-1"))) == 1
    finally:
        stop(daemon)


def _progress(controller: Controller) -> dict[str, Any] | None:
    (vm,) = controller.run("status", "--json").json()["vms"]
    told: dict[str, Any] | None = vm["migration"]
    return told if told is not None and told["sent"] else None


def _confirmed(controller: Controller, host: str) -> bool:
    return controller.ask("fence", "confirm", host, "--reason", "the cords are out", "--yes").code == 0

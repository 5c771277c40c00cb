"""Two controllers on real hosts and a real etcd: one leads, and who does not lead any more changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.controller import Controller, blank_image, make_controller, running, stop, vm_spec
from tests.lab.hosts import Lab, wait_for
from tests.support.etcd import EtcdServer, why_no_etcd

pytestmark = pytest.mark.lab

QUEUED = tuple(f"batch-{number}" for number in range(1, 9))
CONFIGURATION = """\
shutdownTimeout: 1s
limits: {{actionsPerHost: 1}}
ledger:
  etcd: {{endpoints: ["{url}"], leaseTtl: 4s, name: {name}}}
"""


@dataclass(frozen=True)
class Member:
    """One controller and its daemon."""

    controller: Controller
    process: subprocess.Popen[bytes]
    log: Path

    def told(self, event: str) -> list[dict[str, Any]]:
        """What its log has of that event."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    def wait_until_told(self, event: str, times: int = 1) -> None:
        """Wait until its log has the event so often."""
        wait_for(lambda: len(self.told(event)) >= times, 60, lambda: f"no {event} in\n{self.log.read_text()}")


@contextmanager
def members(lab: Lab, folder: Path, url: str) -> Iterator[tuple[Member, Member]]:
    """Two controllers of the same specs, the first of which leads."""
    first = make_controller(lab, folder, ["web-1"], image=blank_image(folder))
    started: list[Member] = []
    try:
        for name in ("c1", "c2"):
            config = folder / f"{name}.yaml"
            config.write_text(CONFIGURATION.format(url=url, name=name))
            controller = replace(first, state=folder / name, config=config)
            log = folder / f"{name}.log"
            process = controller.start("run", "--log-format", "json", log=log)
            started.append(Member(controller, process, log))
            started[-1].wait_until_told("lead.taken" if name == "c1" else "standby")
        yield started[0], started[1]
        assert [stop(member.process) for member in started] == [0, 0]
    finally:
        for member in started:
            if member.process.poll() is None:
                member.process.send_signal(signal.SIGCONT)
                member.process.kill()
                member.process.wait()


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """A real one, on this machine."""
    reason = why_no_etcd()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path / "etcd"
    folder.mkdir()
    server = EtcdServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def batch(*, strategy: str) -> str:
    """VMs that are made on one host, one after the other."""
    pinned = f"runStrategy: {strategy}\nplacement: {{hosts: [h1]}}\n"
    return "---\n".join(vm_spec(name, extra=pinned) for name in QUEUED)


def started_once(lab: Lab) -> set[str]:
    """VMs of the batch that ever had a QEMU: it leaves a log behind."""
    logs = lab.host("h1").exec(["ls", "/var/log/libvirt/qemu"]).stdout.split()
    return {name for name in QUEUED if f"{name}.log" in logs}


def defined(lab: Lab) -> set[str]:
    return {name for name in lab.host("h1").virsh("list", "--all", "--name").split() if name in QUEUED}


def test_who_does_not_lead_any_more_changes_nothing_and_the_next_one_goes_on(
    fresh_lab: Lab, tmp_path: Path, etcd: EtcdServer
) -> None:
    """The leader is stopped past its lease with starts queued, and goes on; then etcd dies, and is back."""
    with members(fresh_lab, tmp_path, etcd.url) as (first, second):
        wait_for(lambda: running(fresh_lab, "web-1"), 60, "web-1 does not run")

        # A command on the other machine reaches the leader.
        held = second.controller.ask("pause", "VirtualMachine/web-1")
        assert held.code == 0, held.err
        told = second.controller.ask("leader").out
        assert "on c1 (pid" in told
        assert "stands by: c2 on " in told
        assert "1 VM held" in first.controller.run("status").out
        assert second.controller.ask("resume", "VirtualMachine/web-1").code == 0
        refused = second.controller.run("apply", "--yes")
        assert (refused.code, "c1" in refused.err) == (1, True)

        # The leader is stopped while it makes the batch; then nobody wants that to run any more.
        first.controller.write("batch.yaml", batch(strategy="Always"))
        wait_for(lambda: started_once(fresh_lab), 60, "the batch is not made")
        first.process.send_signal(signal.SIGSTOP)
        had_begun = started_once(fresh_lab)
        first.controller.write("batch.yaml", batch(strategy="Halted"))
        second.wait_until_told("lead.taken")
        # Nobody has led by these specs, and nothing tells that they are newer: a human does.
        second.wait_until_told("specs.doubted")
        accepted = second.controller.ask("leader", "--accept-specs", "--reason", "the batch is not to run")
        assert accepted.code == 0, accepted.err
        wait_for(lambda: defined(fresh_lab) == {*QUEUED}, 120, "the next leader does not go on")
        first.process.send_signal(signal.SIGCONT)
        first.wait_until_told("standby")
        assert first.told("lead.lost")
        assert had_begun < {*QUEUED}
        # What was under way in the instant that it was stopped may have been one start more.
        assert len(started_once(fresh_lab) - had_begun) <= 1
        wait_for(lambda: not any(running(fresh_lab, name) for name in QUEUED), 120, "the batch runs on")

        # etcd dies: the leader is none any more by its own clock, VMs run on, and nobody mends anything.
        etcd.stop()
        second.wait_until_told("lead.lost")
        home = running(fresh_lab, "web-1")
        assert home
        actions = [len(member.told("action.started")) for member in (first, second)]
        fresh_lab.host(home[0]).virsh("destroy", "web-1")
        for member in (first, second):
            member.wait_until_told("etcd.unavailable")
        asked = second.controller.ask("leader")
        assert (asked.code, etcd.url in asked.err) == (1, True)
        assert [len(member.told("action.started")) for member in (first, second)] == actions
        assert not running(fresh_lab, "web-1")

        etcd.start()
        wait_for(lambda: running(fresh_lab, "web-1"), 60, "nobody leads again")
        told = first.controller.ask("why", "VirtualMachine/web-1")
        assert told.code == 0, told.err

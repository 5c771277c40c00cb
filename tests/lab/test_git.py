"""A fleet that is led by commits alone, on real hosts."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.lab.controller import Controller, blank_image, facility_specs, host_specs, running, stop, vm_spec
from tests.lab.hosts import Lab, wait_for
from tests.support.git import Upstream, git

pytestmark = pytest.mark.lab

_VMS = ("web-1", "web-2", "web-3")


class GitController(Controller):
    """Commands are told where the state is, and nothing of specs."""

    def argv(self, command: str, *words: str) -> list[str]:
        """The words that run `reconciler COMMAND`."""
        return [word for word in super().argv(command, *words) if word != str(self.specs)]


def _ids(lab: Lab) -> dict[str, tuple[str, str]]:
    """UUID of each VM, and the number that libvirt gave its run."""
    found = {}
    for name in _VMS:
        host = lab.host(running(lab, name)[0])
        found[name] = (host.virsh("domuuid", name).strip(), host.virsh("domid", name).strip())
    return found


def _planned(log: Path) -> set[str]:
    """The commits that passes were decided by."""
    lines = (json.loads(line) for line in log.read_text().split("\n")[:-1] if '"pass.planned"' in line)
    return {line["generation"] for line in lines}


def test_from_an_empty_repository_to_three_vms_and_through_everything_that_happens_to_a_branch(
    fresh_lab: Lab, tmp_path: Path
) -> None:
    """First commits, a typo, a force-push, a mass deletion and its revert: nothing is ever lost or started anew."""
    upstream = Upstream(tmp_path / "forge")
    controller = GitController(tmp_path / "unused", tmp_path / "state", config=tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("shutdownTimeout: 1s\n")
    log = tmp_path / "daemon.log"
    words = ("--git", upstream.url, "--branch", "main", "--path", "fleet/", "--interval", "5s", "--log-format", "json")
    process = controller.start("run", *words, log=log)

    def followed(commit: str) -> None:
        """As `systemctl reload` does, rather than to wait for the interval; until a pass was decided by it."""
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: commit in _planned(log), 30, log.read_text)

    try:
        wait_for(lambda: "no commit yet" in log.read_text(), 30, "nobody waits for a first commit")
        upstream.commit(
            {
                "fleet/hosts.yaml": host_specs(fresh_lab),
                "fleet/facilities.yaml": facility_specs(fresh_lab, blank_image(tmp_path)),
            },
            "hosts, and where VMs live",
        )
        vms = {f"fleet/vms/{name}.yaml": vm_spec(name) for name in _VMS}
        made = upstream.commit(vms, "three web servers")
        wait_for(lambda: all(running(fresh_lab, name) for name in _VMS), 60, log.read_text)
        wait_for(lambda: controller.plan()["actions"] == [], 30, log.read_text)
        before = _ids(fresh_lab)
        assert made in fresh_lab.host(running(fresh_lab, "web-1")[0]).virsh("dumpxml", "web-1")
        assert controller.run("status", "--json").json()["revision"]["subject"] == "three web servers"

        broken = {"fleet/vms/web-1.yaml": vm_spec("web-1").replace("memory:", "memroy:")}
        followed(upstream.commit(broken, "more memory"))
        assert "fleet/vms/web-1.yaml:7:3" in controller.run("plan").err
        assert _ids(fresh_lab) == before

        upstream.back_to(made)
        followed(upstream.commit({"README.md": "A fleet.\n"}, "as it was, with a word on it"))
        assert "history was rewritten" in controller.run("status").out
        assert controller.plan()["actions"] == []

        gone = upstream.commit(dict.fromkeys(vms), "tidy up")
        followed(gone)
        assert "reconciler accept-deletions" in controller.run("plan").out
        assert _ids(fresh_lab) == before

        git(upstream.work, "revert", "--no-edit", gone)
        followed(upstream.push())
        assert controller.plan()["actions"] == []
        assert controller.run("status").code == 0
        assert _ids(fresh_lab) == before
        assert process.poll() is None
    except BaseException:
        process.kill()
        process.wait()
        raise
    assert stop(process) == 0, log.read_text()

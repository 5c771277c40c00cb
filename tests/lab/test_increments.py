"""A chain of versions on real QEMU: each point of it is what the guest had, and pruning may be killed at any file."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.ledger.store import Ledger
from tests.lab.controller import POOL, Controller, boots, homes, make_controller
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, LabError, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(300)]

_VM: Final = """\
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {name: web-1}
spec:
  domainType: qemu
  cpu: {model: maximum}
  memory: 160MiB
  disks:
    - {name: root, image: tiny, size: 64MiB, pool: vms}
    - {name: data, size: 32MiB, pool: vms}
  networks: []
"""
_IMAGE: Final = """\
apiVersion: reconciler/v1
kind: Image
metadata: {{name: golden}}
spec: {{source: {{vm: web-1}}, pool: vms, fullEvery: 3{retention}}}
"""
_CHANGES: Final = (
    "dd if=/dev/urandom of=/dev/vdb bs=1M count=16",
    "dd if=/dev/urandom of=/dev/vdb bs=4k count=3 seek=100 conv=notrunc",
    "dd if=/dev/zero of=/dev/vdb bs=64k count=16 seek=64 conv=notrunc",
    "dd if=/dev/urandom of=/dev/vdb bs=4k count=1 seek=8000 conv=notrunc",
)


def _in_guest(host: LabHost, script: str) -> str:
    def agent(command: str, **arguments: Any) -> Any:
        request = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(host.virsh("qemu-agent-command", "web-1", request))["return"]

    pid = agent("guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})["pid"]
    done = wait_for(
        lambda: (answer := agent("guest-exec-status", pid=pid))["exited"] and answer, 30, f"{script} did not end"
    )
    return base64.b64decode(done.get("out-data", "")).decode()


def _agent_answers(host: LabHost) -> bool:
    with suppress(LabError):
        return bool(host.virsh("qemu-agent-command", "web-1", '{"execute": "guest-ping"}'))
    return False


def _versions(controller: Controller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = controller.ask("image", "versions", "golden", "-f", "json").json()
    return found


def _files(lab: Lab) -> set[str]:
    return {path.name for path in (lab.shared / POOL).iterdir() if ".golden." in path.name}


def test_every_point_of_a_chain_is_what_the_guest_had_and_pruning_may_be_killed(fresh_lab: Lab, tmp_path: Path) -> None:
    controller = make_controller(fresh_lab, tmp_path)
    controller.write("web.yaml", _VM)
    controller.apply()
    host = fresh_lab.host(homes(fresh_lab, "web-1")[0])
    wait_for(lambda: boots(fresh_lab, "web-1"), 60, "web-1 does not boot")

    wait_for(lambda: _agent_answers(host), 60, "no agent")
    had = _four_versions(controller, host)
    _exports_are_what_the_guest_had(controller, had, tmp_path)

    controller.write("golden.yaml", _IMAGE.format(retention=", retention: {last: 1}"))
    _killed_again_and_again(controller, fresh_lab, tmp_path)
    controller.apply()
    assert [version["version"] for version in _versions(controller)] == list(had)[-1:]
    assert len(_files(fresh_lab)) == 3
    assert controller.plan()["actions"] == []


def _four_versions(controller: Controller, host: LabHost) -> dict[str, str]:
    """By version, oldest first: the digest of the data disk as the guest read it."""
    had: dict[str, str] = {}
    controller.write("golden.yaml", _IMAGE.format(retention=""))
    for number, change in enumerate(_CHANGES):
        _in_guest(host, f"{change}; sync")
        digest = _in_guest(host, "sha256sum /dev/vdb").split()[0]
        if number:
            with Ledger(controller.state) as ledger:
                ledger.request_capture("golden", time.time())
        controller.apply()
        found = _versions(controller)
        assert len(found) == number + 1
        had[found[-1]["version"]] = digest
    assert [version["kind"] for version in found] == ["full", "increment", "increment", "full"]
    return had


def _exports_are_what_the_guest_had(controller: Controller, had: dict[str, str], folder: Path) -> None:
    for number, (name, digest) in enumerate(had.items()):
        target = folder / f"{number}.raw"
        ran = controller.ask("image", "export", f"{name}/data", str(target), "--format", "raw")
        assert ran.code == 0, ran.err
        assert hashlib.sha256(target.read_bytes()).hexdigest() == digest, name


def _killed_again_and_again(controller: Controller, lab: Lab, folder: Path) -> None:
    """Kill -9 as soon as one more file is gone, and a moment later: whatever is listed then is whole."""
    for number in range(6):
        before = len(_files(lab))
        process = controller.start("apply", "--yes", log=folder / f"{number}.log")
        while len(_files(lab)) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(random.random() * 0.05)  # noqa: S311  an instant, no secret
        process.kill()
        process.wait()
        there = _files(lab)
        for version in _versions(controller):
            stamp = version["disks"][0]["volume"].split(".")[2]
            assert {disk["volume"] for disk in version["disks"]} <= there, version
            assert f"default.golden.{stamp}.version.json" in there, version

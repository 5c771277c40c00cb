"""A real Debian server image, as people use it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.controller import POOL, homes, make_controller
from tests.lab.guest import debian_image
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(600)]

_SPEC = """\
apiVersion: reconciler/v1
kind: Image
metadata: {{name: debian-12}}
spec: {{source: {{path: {image}}}, format: qcow2}}
---
apiVersion: reconciler/v1
kind: VirtualMachine
metadata: {{name: server-1}}
spec:
  domainType: qemu
  cpu: {{model: qemu64}}
  memory: 640MiB
  disks:
    - {{name: root, image: debian-12, size: 3GiB, pool: {pool}}}
  networks: [{{network: lan}}]
  cloudInit:
    userData: |
      #cloud-config
      write_files:
        - path: /etc/greeting
          content: ${{secret:greeting}}
    secrets: {{greeting: {{env: GREETING}}}}
"""


_SECRET = "hello: 'from' #nobody's \"spec\""  # noqa: S105  # as awkward as one can be


def _in_guest(host: LabHost, *words: str) -> str:
    """What a program prints in the guest, through its agent."""

    def agent(command: str, **arguments: Any) -> Any:
        request = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(host.virsh("qemu-agent-command", "server-1", request))["return"]

    pid = agent("guest-exec", path=words[0], arg=list(words[1:]), **{"capture-output": True})["pid"]
    done = wait_for(
        lambda: (answer := agent("guest-exec-status", pid=pid))["exited"] and answer, 30, f"{words} did not end"
    )
    return base64.b64decode(done.get("out-data", "")).decode()


def test_a_debian_cloud_image_boots_with_its_name_and_a_file_from_cloud_init(fresh_lab: Lab, tmp_path: Path) -> None:
    """The seed reaches cloud-init in a real image: hostname and a secret's file are there, and the agent answers."""
    controller = make_controller(fresh_lab, tmp_path)
    controller.environment["GREETING"] = _SECRET
    controller.write("server.yaml", _SPEC.format(image=debian_image(), pool=POOL))

    controller.apply()

    host = fresh_lab.host(homes(fresh_lab, "server-1")[0])
    wait_for(lambda: "lab-guest hostname server-1" in host.console("server-1"), 300, "server-1 is not up")
    wait_for(lambda: "state='connected'" in host.virsh("dumpxml", "server-1"), 60, "its agent does not run")
    assert _in_guest(host, "/bin/hostname").strip() == "server-1"
    assert _in_guest(host, "/bin/cat", "/etc/greeting").strip() == _SECRET
    seeds = list((fresh_lab.shared / POOL).glob("*.server-1.seed-*.iso"))
    assert [seed.stat().st_mode & 0o777 for seed in seeds] == [0o600]
    assert not [file for file in controller.state.rglob("*") if file.is_file() and _SECRET in file.read_text("latin-1")]
    assert controller.plan()["actions"] == []

"""A server is captured as it runs, again and again, and brought back from each of its versions, on real QEMU."""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.lab.agent import agent_answers, begin_in_guest, in_guest
from tests.lab.controller import POOL, Controller, homes, make_controller, vm_spec
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, LabError, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(300)]

_IMAGE: Final = """\
apiVersion: reconciler/v1
kind: Image
metadata: {{name: golden}}
spec: {{source: {{vm: web-1}}, pool: vms, fullEvery: 3, quiesce: require{more}}}
"""
_MIB: Final = 1 << 20
_WATCHED: Final = 7
"""MiB of the data disk that its digests are of; the writer below has the last one."""
_CHANGES: Final = (
    "dd if=/dev/urandom of=/dev/vdb bs=1M count=4",
    "dd if=/dev/urandom of=/dev/vdb bs=4k count=3 seek=100 conv=notrunc",
    "dd if=/dev/zero of=/dev/vdb bs=64k count=16 seek=16 conv=notrunc",
    "dd if=/dev/urandom of=/dev/vdb bs=4k count=1 seek=1700 conv=notrunc",
)
_WRITER: Final = f"""
i=10000000
while [ ! -e /run/enough ]; do
  i=$((i + 1))
  echo -n $i | dd of=/dev/vdb bs=8 seek={_WATCHED * _MIB // 8} conv=notrunc,fsync 2>/dev/null
  echo -n $i >/root/count.new; mv /root/count.new /root/count; sync
done
"""
"""Counts on both disks, on the data disk always first."""


def _vm(more: str = "") -> str:
    spec = vm_spec("web-1", extra=more)
    return spec.replace(f"pool: {POOL}}}", f"pool: {POOL}}}\n    - {{name: data, size: 8MiB, pool: {POOL}}}")


def test_a_server_is_brought_back_from_every_version_that_was_made_of_it_as_it_ran(
    fresh_lab: Lab, tmp_path: Path
) -> None:
    """Written, captured, deleted and scribbled over: a restore has the same machine run with what it had."""
    controller = make_controller(fresh_lab, tmp_path)
    controller.config = tmp_path / "config.yaml"
    controller.config.write_text("shutdownTimeout: 2s\n")
    controller.write("web.yaml", _vm())
    controller.apply()
    host = fresh_lab.host(homes(fresh_lab, "web-1")[0])
    wait_for(lambda: agent_answers(host, "web-1"), 60, "no agent")
    identity = _identity(host)

    had = _four_versions(controller, host)
    _exports_are_what_the_guest_had(controller, had, tmp_path)
    _both_disks_are_of_one_instant(controller, next(iter(had)), tmp_path)

    _scribble(host)
    controller.write("web.yaml", _vm("restore: {image: golden}\n"))
    controller.apply()
    wait_for(lambda: agent_answers(host, "web-1"), 60, "it does not boot")
    assert in_guest(host, "web-1", "cat /root/known") == f"written before {len(had)}"
    assert _identity(host) == identity
    assert controller.plan()["actions"] == []

    _each_point_can_be_restored(controller, host, had, tmp_path)
    assert _identity(host) == identity

    controller.write("golden.yaml", _IMAGE.format(more=", retention: {last: 1}"))
    controller.write("web.yaml", _vm("runStrategy: Halted\n"))
    _killed_again_and_again(controller, fresh_lab, tmp_path)
    controller.apply()
    assert [version["version"] for version in _versions(controller)] == list(had)[-1:]
    assert len(_files(fresh_lab)) == 3
    assert controller.plan()["actions"] == []


def _identity(host: LabHost) -> list[str]:
    return re.findall(r"<uuid>.*</uuid>|<mac address=.*/>", host.virsh("dumpxml", "web-1", "--inactive"))


def _four_versions(controller: Controller, host: LabHost) -> dict[str, str]:
    """By version, oldest first: the digest of the data disk as the guest read it."""
    had: dict[str, str] = {}
    begin_in_guest(host, "web-1", _WRITER)
    controller.write("golden.yaml", _IMAGE.format(more=""))
    for number, change in enumerate(_CHANGES, 1):
        in_guest(host, "web-1", f"{change}; echo -n written before {number} >/root/known; sync")
        digest = in_guest(host, "web-1", f"head -c {_WATCHED * _MIB} /dev/vdb | sha256sum").split()[0]
        if had:
            assert controller.ask("image", "capture", "golden").code == 0
        controller.apply()
        found = _versions(controller)
        assert len(found) == number
        had[found[-1]["version"]] = digest
        in_guest(host, "web-1", "touch /run/enough")
    assert [version["kind"] for version in found] == ["full", "increment", "increment", "full"]
    assert {version["consistency"] for version in found} == {"quiesced"}
    return had


def _versions(controller: Controller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = controller.ask("image", "versions", "golden", "-f", "json").json()
    return found


def _export(controller: Controller, disk: str, target: Path) -> Path:
    ran = controller.ask("image", "export", disk, str(target), "--format", "raw")
    assert ran.code == 0, ran.err
    return target


def _digest(raw: Path) -> str:
    with raw.open("rb") as file:
        return hashlib.sha256(file.read(_WATCHED * _MIB)).hexdigest()


def _exports_are_what_the_guest_had(controller: Controller, had: dict[str, str], folder: Path) -> None:
    for number, (name, digest) in enumerate(had.items()):
        assert _digest(_export(controller, f"{name}/data", folder / f"{number}.raw")) == digest, name


def _both_disks_are_of_one_instant(controller: Controller, version: str, folder: Path) -> None:
    """What counts on them is at the same number, or one step on; and the file system has nothing to recover."""
    data = (folder / "0.raw").read_bytes()
    root = _export(controller, f"{version}/root", folder / "root.raw")
    (part,) = json.loads(_run("sfdisk", "--json", str(root)))["partitiontable"]["partitions"]
    file_system = f"{root}?offset={512 * part['start']}"
    counted = int(_run("debugfs", "-R", "cat /root/count", file_system))
    assert counted > 10000000
    assert int(data[_WATCHED * _MIB : _WATCHED * _MIB + 8]) - counted in (0, 1)
    assert "needs_recovery" not in _run("debugfs", "-R", "features", file_system)


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def _scribble(host: LabHost) -> None:
    """Its file is gone, and then all that it could boot from; whether it lives to tell makes no difference."""
    in_guest(host, "web-1", "rm /root/known; sync")
    with suppress(LabError, TimeoutError, AssertionError):
        in_guest(host, "web-1", "dd if=/dev/urandom of=/dev/vda bs=1M count=60 conv=notrunc,fsync", seconds=20)


def _each_point_can_be_restored(controller: Controller, host: LabHost, had: dict[str, str], folder: Path) -> None:
    for name, digest in had.items():
        version = name.partition("@")[2]
        restore = f'restore: {{image: golden, version: "{version}", disks: [data]}}\nrunStrategy: Halted\n'
        controller.write("web.yaml", _vm(restore))
        controller.apply()
        (disk,) = re.findall(r"'([^']*/default\.web-1\.data\.[^']*)'", host.virsh("dumpxml", "web-1", "--inactive"))
        _run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, str(folder / "restored.raw"))
        assert _digest(folder / "restored.raw") == digest, name


def _files(lab: Lab) -> set[str]:
    return {path.name for path in (lab.shared / POOL).iterdir() if ".golden." in path.name}


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

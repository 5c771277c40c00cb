"""A server is brought back: its disk scribbled over, truncated, and the controller killed while it is at that."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.ledger.store import Ledger
from reconciler.model.identity import version_disk_volume, version_manifest
from reconciler.model.version import ImageVersion, VersionDisk, manifest_of, stamp_of
from tests.lab.controller import POOL, Controller, blank_image, host_specs, make_controller, vm_spec
from tests.lab.hosts import Lab

pytestmark = pytest.mark.lab

_KILLS: Final = 7
_KNOWN: Final = b"a known file of the guest"
_AT: Final = 8 << 20
"""Bytes from the start of the disk to where the known content is."""
_SIZE: Final = 96 << 20


def _restore(text: str) -> str:
    return vm_spec("web-1", extra=f"restore: {text}\n")


def _write(path: Path, content: bytes, at: int = _AT) -> None:
    """Into the disk, as a guest would; of a VM that is off."""
    source = path.parent / "content"
    source.write_bytes(content.ljust(512, b"\0"))
    size = len(content.ljust(512, b"\0"))
    _run("qemu-io", "-f", "qcow2", "-c", f"write -s {source} {at} {size}", str(path))
    source.unlink()


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def _read(path: Path) -> bytes:
    """The known place of the disk, with all that it stands on; the guest may have it open."""
    out = path.parent.parent / f"{path.name}.raw"
    _run("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(path), str(out))
    with out.open("rb") as file:
        file.seek(_AT)
        found = file.read(len(_KNOWN))
    out.unlink()
    return found


def _capture(lab: Lab, controller: Controller, disk: Path) -> None:
    """A version of the VM, as a capture leaves it: a file of its own in the pool, and what is on record of it."""
    taken_at = time.time() - 3600
    stamp = stamp_of(taken_at)
    volume = version_disk_volume("default", "golden", stamp, "root")
    file = lab.shared / POOL / volume
    _run("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "qcow2", str(disk), str(file))
    content = file.read_bytes()
    held = VersionDisk("root", volume, _SIZE, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
    version = ImageVersion("golden", stamp, taken_at, "web-1", "", POOL, None, "", "", "offline", (held,))
    (lab.shared / POOL / version_manifest("default", "golden", stamp)).write_bytes(manifest_of(version))
    lab.host("h1").virsh("pool-refresh", POOL)
    ledger = Ledger(controller.state)
    ledger.note_versions([version])
    ledger.close()


def _disk(lab: Lab) -> Path:
    """The disk that the definition names."""
    return Path(re.findall(rf"'([^']*/{POOL}/default\.web-1\.root\.[^']*)'", _xml(lab))[0])


def _xml(lab: Lab) -> str:
    return lab.host("h1").virsh("dumpxml", "web-1", "--inactive")


def _identity(lab: Lab) -> list[str]:
    return re.findall(r"<uuid>.*</uuid>|<mac address=.*/>", _xml(lab))


def _made(lab: Lab, directory: Path) -> Controller:
    """One VM that runs, with a known content on its disk, captured, and scribbled over since."""
    controller = make_controller(lab, directory, image=blank_image(directory))
    controller.write("hosts.yaml", host_specs(lab, ["h1"]))
    halted = vm_spec("web-1", extra="runStrategy: Halted\n")
    controller.write("vms/web-1.yaml", halted)
    controller.apply()
    disk = _disk(lab)
    _write(disk, _KNOWN)
    _capture(lab, controller, disk)
    _write(disk, b"scribbled over")
    controller.write("vms/web-1.yaml", vm_spec("web-1"))
    controller.apply()
    return controller


@pytest.mark.timeout(600)
def test_a_server_comes_back_whatever_happened_to_its_disk(fresh_lab: Lab, tmp_path: Path) -> None:
    """Restored, undone, truncated and restored: the same machine with the content that was meant each time."""
    controller = _made(fresh_lab, tmp_path)
    before, first = _identity(fresh_lab), _disk(fresh_lab)
    controller.write("vms/web-1.yaml", _restore("{image: golden}"))

    told = " ".join(controller.run("plan", "--verbose").out.split())
    assert "what was written in the last 1 h" in told
    controller.apply()
    assert _identity(fresh_lab) == before
    assert _read(_disk(fresh_lab)) == _KNOWN
    assert "running" in fresh_lab.host("h1").virsh("domstate", "web-1")
    assert controller.plan()["actions"] == []

    controller.write("vms/web-1.yaml", _restore("{tombstone: latest}"))
    controller.apply()
    assert _disk(fresh_lab) == first
    assert _read(first) != _KNOWN

    fresh_lab.host("h1").virsh("destroy", "web-1")
    os.truncate(first, 0)
    controller.apply(expect=(3,))
    assert "disk-damaged" in _reasons(controller.plan())
    assert "shut off" in fresh_lab.host("h1").virsh("domstate", "web-1")

    controller.write("vms/web-1.yaml", _restore("{image: golden, again: 1}"))
    controller.apply()
    assert _read(_disk(fresh_lab)) == _KNOWN
    assert _identity(fresh_lab) == before
    assert controller.plan()["actions"] == []


def _reasons(plan: dict[str, Any]) -> set[str]:
    return {unmet["reason"] for unmet in plan["unmet"]}


@pytest.mark.timeout(600)
def test_a_restore_killed_anywhere_ends_the_same_and_loses_nothing(fresh_lab: Lab, tmp_path: Path) -> None:
    """After kill -9 at each of 7 random instants the next apply ends with the version's content, and all is kept."""
    seed = int(os.environ.get("RECONCILER_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"RECONCILER_CRASH_SEED={seed}")
    instants = random.Random(seed)  # noqa: S311  a schedule, not a secret
    controller = _made(fresh_lab, tmp_path)
    before, old = _identity(fresh_lab), _disk(fresh_lab)
    scribbled = _read(old)
    for number in range(_KILLS):
        controller.write("vms/web-1.yaml", _restore(f"{{image: golden, again: {number}}}"))
        process = controller.start("apply", "--yes", log=tmp_path / f"kill-{number}.log")
        time.sleep(instants.uniform(0.3, 4.0))
        process.kill()
        process.wait()

        controller.apply()

        assert _read(_disk(fresh_lab)) == _KNOWN
        assert _identity(fresh_lab) == before
        assert _read(old) == scribbled
        assert "running" in fresh_lab.host("h1").virsh("domstate", "web-1")
        assert controller.plan()["actions"] == []
    unfinished = Ledger(controller.state)
    assert unfinished.view().intents == frozenset()
    unfinished.close()
    last = _disk(fresh_lab)
    shutil.rmtree(tmp_path / "state")

    controller.apply()
    assert _disk(fresh_lab) == last

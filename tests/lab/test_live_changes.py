"""A running guest gets more, and gives some back, and does not notice: no reboot, and no second missed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from lxml import etree

from tests.lab.controller import POOL, Controller, boots, homes, make_controller, ticks
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.lab

_MISSED_SECONDS = 2.0


def _spec(*, memory: str, cpus: int, more: bool) -> str:
    data = f"\n    - {{name: data, size: 32MiB, pool: {POOL}}}" if more else ""
    second = ", {network: lan}" if more else ""
    first = ", link: down, bandwidth: {inbound: {average: 1MiB/s}}" if more else ""
    limits = ", ioTune: {totalBytes: 20MiB/s, readIops: 500}" if more else ""
    size = "128MiB" if more else "96MiB"
    title = "large" if more else "small"
    return (
        "apiVersion: reconciler/v1\nkind: VirtualMachine\nmetadata: {name: web-1}\nspec:\n"
        f"  title: {title}\n  domainType: qemu\n  cpu: {{model: maximum, count: {cpus}, max: 2}}\n"
        f"  memory: {memory}\n  maxMemory: 256MiB\n"
        f"  disks:\n    - {{name: root, image: tiny, size: {size}, pool: {POOL}{limits}}}{data}\n"
        f"  networks: [{{network: lan{first}}}{second}]\n"
        f"  cloudInit: {{userData: '#cloud-config {more}', onChange: reseed}}\n"
    )


def _uptimes(lab: Lab) -> list[float]:
    """When, by its own clock, the guest ticked."""
    lines = (line for host in lab.hosts for line in host.console("web-1").splitlines())
    return [float(line.split()[3]) for line in lines if line.startswith("tick ") and len(line.split()) > 3]


def _devices(lab: Lab) -> tuple[set[str], int]:
    """Disks and the number of cards that libvirt tells of the running domain."""
    host = lab.host(homes(lab, "web-1")[0])
    disks = {word for word in host.virsh("domblklist", "web-1").split() if word.startswith("vd")}
    return disks, sum(":" in line for line in host.virsh("domiflist", "web-1").splitlines())


def _described(lab: Lab, *words: str) -> etree._Element:
    """The XML of the running domain, or with `--inactive` its definition."""
    return etree.fromstring(lab.host(homes(lab, "web-1")[0]).virsh("dumpxml", *words, "web-1"))


def _wiring(lab: Lab, *words: str) -> dict[str, str]:
    """Everything of disks and cards that makes a difference to the guest, by target and MAC."""
    found = {}
    for device in _described(lab, *words).xpath("devices/disk | devices/interface"):
        parts = [device.find(tag) for tag in ("address", "iotune", "bandwidth", "link", "source", "model")]
        name = device.find("target").get("dev") if device.tag == "disk" else device.find("mac").get("address")
        for part in parts:
            for noise in ("portid", "bridge", "index") if part is not None else ():
                part.attrib.pop(noise, None)
        found[name] = b"".join(etree.tostring(part).strip() for part in parts if part is not None).decode()
    return found


def _apply_all(controller: Controller, spec: str) -> None:
    controller.write("vms/web-1.yaml", spec)
    assert controller.plan()["actions"]
    controller.apply()
    assert controller.plan()["actions"] == []


def test_a_running_guest_grows_and_shrinks_without_a_reboot_or_a_pause(fresh_lab: Lab, tmp_path: Path) -> None:
    """Memory, CPUs, a disk, a card, a larger root disk, limits, a link, another seed; then back as far as that goes."""
    controller = make_controller(fresh_lab, tmp_path)
    controller.write("vms/web-1.yaml", _spec(memory="160MiB", cpus=1, more=False))
    controller.apply()
    wait_for(lambda: ticks(fresh_lab, "web-1") >= 3, 120, "web-1 has not booted")

    controller.write("vms/web-1.yaml", _spec(memory="224MiB", cpus=2, more=True))
    plan = controller.plan()
    kinds = {action["kind"] for action in plan["actions"]}
    assert "stop-domain" not in kinds
    assert {change["disruption"] for action in plan["actions"] for change in action["changes"]} <= {"none", "live"}
    controller.apply()

    assert _devices(fresh_lab) == ({"vda", "vdb", "vdz"}, 2)
    assert controller.plan()["actions"] == []
    assert _wiring(fresh_lab) == _wiring(fresh_lab, "--inactive")
    assert _described(fresh_lab).findtext("title") == "large"
    # Of this libvirt tells nobody.
    fresh_lab.host(homes(fresh_lab, "web-1")[0]).virsh("blkdeviotune", "web-1", "vda", "--read-iops-sec", "9", "--live")
    plan = controller.plan()
    changed = [change["field"] for action in plan["actions"] for change in action["changes"]]
    assert changed == ["disks[root].ioTune"], (plan, _wiring(fresh_lab))
    # All goes back but the size of the disk, which never shrinks, and the CPU: that would need KVM.
    smaller = _spec(memory="160MiB", cpus=2, more=False).replace("size: 96MiB", "size: 128MiB")
    _apply_all(controller, smaller)

    assert _devices(fresh_lab) == ({"vda", "vdz"}, 1)
    assert _wiring(fresh_lab) == _wiring(fresh_lab, "--inactive")
    assert "iotune" not in _wiring(fresh_lab)["vda"]
    before = ticks(fresh_lab, "web-1")
    wait_for(lambda: ticks(fresh_lab, "web-1") > before, 30, "web-1 does not tick any more")
    assert len(boots(fresh_lab, "web-1")) == 1
    times = _uptimes(fresh_lab)
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 1 + _MISSED_SECONDS

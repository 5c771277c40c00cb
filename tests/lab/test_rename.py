"""A VM of the specs gets another name: it is the same VM, with its disks, and nobody loses anything for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.controller import Controller, boots, homes, make_controller, vm_spec
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.lab


def _renamed(controller: Controller, old: str, text: str) -> None:
    (controller.specs / f"vms/{old}.yaml").write_text(text)


def _identity(lab: Lab, name: str) -> tuple[str, str, list[str]]:
    """UUID, MACs and files of disks, as libvirt tells them."""
    host = lab.host(homes(lab, name)[0])
    macs = [word for word in host.virsh("domiflist", name).split() if word.count(":") == 5]
    files = [line.split()[-1] for line in host.virsh("domblklist", name).splitlines() if "/" in line]
    return host.virsh("domuuid", name).strip(), " ".join(macs), files


def test_a_vm_gets_another_name_and_keeps_its_disks_and_its_uuid(fresh_lab: Lab, tmp_path: Path) -> None:
    lab, controller = fresh_lab, make_controller(fresh_lab, tmp_path, ("web-1",))
    controller.apply()
    wait_for(lambda: boots(lab, "web-1"), 120, "it has not booted")
    before, home = _identity(lab, "web-1"), homes(lab, "web-1")

    # -- a new name, and not a word that it is the same -----------------------------------------------------------
    _renamed(controller, "web-1", vm_spec("shop"))
    doubted = controller.plan()
    assert not doubted["actions"]
    assert {unmet["target"]: unmet["reason"] for unmet in doubted["unmet"]} == {
        "VirtualMachine/shop": "maybe-renamed",
        "VirtualMachine/web-1": "maybe-renamed",
    }

    # -- with a word: it waits for the guest ----------------------------------------------------------------------
    said = vm_spec("shop").replace("name: shop", "name: shop, previousName: web-1")
    _renamed(controller, "web-1", said)
    waiting = controller.plan()
    assert not waiting["actions"]
    assert [(unmet["target"], unmet["reason"]) for unmet in waiting["unmet"]] == [
        ("VirtualMachine/web-1", "rename-pending")
    ]

    told = controller.ask("why", "VirtualMachine/shop").out
    assert "VirtualMachine/web-1" in told
    assert "its spec names it shop" in told

    # -- and is renamed with it -----------------------------------------------------------------------------------
    _renamed(controller, "web-1", said.replace("spec:\n", "spec:\n  updatePolicy: restart\n", 1))
    controller.apply()
    wait_for(lambda: boots(lab, "shop"), 120, "it has not booted under its new name")
    assert (_identity(lab, "shop"), homes(lab, "shop"), homes(lab, "web-1")) == (before, home, [])
    assert not controller.plan()["actions"]

    # -- the revert of a commit takes it back, with the ledger lost in between ------------------------------------
    for file in tmp_path.rglob("ledger.sqlite3*"):
        file.unlink()
    _renamed(controller, "web-1", vm_spec("web-1", extra="updatePolicy: restart"))
    controller.apply()
    assert (_identity(lab, "web-1"), homes(lab, "shop")) == (before, [])

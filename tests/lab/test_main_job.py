"""From a directory of specs to running VMs on real hosts, as a user does it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.controller import POOL, blank_image, boots, homes, make_controller, running, vm_spec
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.lab

VMS = [f"web-{number}" for number in range(1, 7)]


def _changes(plan: dict, target: str) -> dict[str, tuple[str, str]]:
    return {
        change["field"]: (change["old"], change["new"])
        for action in plan["actions"]
        if action["target"] == target
        for change in action["changes"]
    }


def test_a_directory_of_specs_becomes_running_vms(fresh_lab: Lab, tmp_path: Path) -> None:
    """Validate, plan, apply; every VM runs on exactly one host, spread, booted; then there is nothing left to do.

    The guests have an address by DHCP of their host's network, and one its name by its seed, which is mode 0600.
    """
    controller = make_controller(fresh_lab, tmp_path, VMS)
    controller.write("vms/web-1.yaml", vm_spec("web-1", extra="cloudInit:\n  userData: |\n    #cloud-config\n    {}\n"))

    assert controller.run("validate").code == 0
    planned = controller.run("plan")
    assert planned.code == 2
    assert all(f"+ VirtualMachine/{name}" in planned.out for name in VMS)
    assert all(f"{kind}" in planned.out for kind in ("StoragePool/vms", "Network/lan", "Image/tiny"))
    controller.apply()

    where = {name: homes(fresh_lab, name) for name in VMS}
    assert all(len(found) == 1 for found in where.values()), where
    assert Counter(found[0] for found in where.values()) == {"h1": 2, "h2": 2, "h3": 2}
    assert all(running(fresh_lab, name) == where[name] for name in VMS)
    address = "lab-guest address eth0 192.168.150."
    for name in VMS:
        wait_for(lambda name=name: address in _console(fresh_lab, name), 120, f"{name} has no address")
    assert "lab-guest hostname web-1" in _console(fresh_lab, "web-1")
    (seed,) = (fresh_lab.shared / POOL).glob("default.web-1.seed-*.iso")
    assert oct(seed.stat().st_mode & 0o777) == "0o600"
    again = controller.run("plan")
    assert (again.code, controller.plan()["actions"]) == (0, [])
    status = controller.run("status", "--json").json()
    assert {vm["name"]: vm["state"] for vm in status["vms"]} == dict.fromkeys(VMS, "running")


EDITS = {
    "memory": (("setmaxmem", "web-1", "128MiB", "--config"), ("setmem", "web-1", "128MiB", "--config")),
    "vcpu": (("setvcpus", "web-1", "2", "--config", "--maximum"), ("setvcpus", "web-1", "2", "--config")),
    "disk detached": (("detach-disk", "web-1", "vda", "--config"),),
    "NIC added": (
        ("attach-interface", "web-1", "network", "lan", "--mac", "52:54:00:00:00:99", "--model", "virtio", "--config"),
    ),
    "autostart": (("autostart", "web-1"),),
    "destroyed": (("destroy", "web-1"),),
    "undefined while it runs": (("undefine", "web-1"),),
    "destroyed and undefined": (("destroy", "web-1"), ("undefine", "web-1")),
}
SHOWN = {
    "memory": ("memory", "128MiB", "160MiB"),
    "vcpu": ("cpu.count", "2", "1"),
    "disk detached": ("disks[root]", "none", "qcow2 on virtio"),
    "NIC added": ("networks[52:54:00:00:00:99]", "lan (virtio)", "none"),
    "autostart": ("autostart", "yes", "no"),
    "destroyed": ("state", "shutoff", "running"),
    "undefined while it runs": ("persistent", "no", "yes"),
    "destroyed and undefined": None,
}


def test_edits_behind_its_back_are_shown_and_mended(fresh_lab: Lab, tmp_path: Path) -> None:
    """Each edit with virsh is in the next plan with field, old and new, and gone after apply."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    controller.apply()
    home = homes(fresh_lab, "web-1")
    host = fresh_lab.host(home[0])

    for edit, commands in EDITS.items():
        for words in commands:
            host.virsh(*words)
        plan = controller.plan()
        found = _changes(plan, "VirtualMachine/web-1")
        expected = SHOWN[edit]
        if expected is None:
            assert {a["kind"] for a in plan["actions"]} == {"define-domain", "start-domain"}, edit
        else:
            field, old, new = expected
            assert found.get(field) == (old, new), (edit, found)
        controller.apply()
        assert controller.plan()["actions"] == [], edit
        assert running(fresh_lab, "web-1") == home, edit
    assert [line.split()[0] for line in host.virsh("vol-list", POOL).splitlines() if ".web-1.root." in line] == [
        "default.web-1.root.qcow2"
    ]


def test_what_is_not_managed_is_left_alone(fresh_lab: Lab, tmp_path: Path) -> None:
    """An unmanaged domain and volume stay untouched; one with a managed name is a conflict and nothing else."""
    host = fresh_lab.hosts[0]
    for name in ("stranger", "web-2"):
        xml = tmp_path / f"{name}.xml"
        xml.write_text(
            f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>"
            "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        )
        host.virsh("define", str(xml))
    before = {name: host.virsh("dumpxml", name) for name in ("stranger", "web-2")}
    controller = make_controller(fresh_lab, tmp_path, ["web-1", "web-2"], image=blank_image(tmp_path))
    controller.apply(expect=(3,))
    foreign = fresh_lab.shared / POOL / "notes.raw"
    foreign.write_bytes(b"kept")

    plan = controller.plan()
    (controller.specs / "vms" / "web-1.yaml").unlink()
    controller.apply(expect=(3,))

    assert plan["unmet"] == [
        item for item in plan["unmet"] if (item["target"], item["reason"]) == ("VirtualMachine/web-2", "conflict")
    ]
    assert plan["unmet"]
    assert {name: host.virsh("dumpxml", name) for name in before} == before
    assert foreign.read_bytes() == b"kept"
    assert homes(fresh_lab, "web-1") == []


def test_a_removed_vm_keeps_its_disk_and_comes_back_with_it(fresh_lab: Lab, tmp_path: Path) -> None:
    """Removing the spec undefines the VM and keeps its disk; put back, it boots that disk again. Purged, it is gone."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"])
    controller.apply()
    spec = controller.specs / "vms" / "web-1.yaml"
    wait_for(lambda: "boot-count 1" in _console(fresh_lab, "web-1"), 120, "web-1 has not booted")

    text = spec.read_text()
    spec.unlink()
    removal = controller.plan()
    controller.apply()
    gone = homes(fresh_lab, "web-1")
    kept = json.loads(controller.run("status", "--only", "tombstones", "--json").out)
    spec.write_text(text)
    back = controller.plan()
    controller.apply()

    assert {action["disruption"] for action in removal["actions"]} == {"destroy"}
    assert any("its disks are kept until" in action["detail"] for action in removal["actions"])
    assert gone == []
    assert [(stone["vm"], stone["disks"]) for stone in kept] == [("web-1", ["root"])]
    assert any("it comes back with its disk root" in action["detail"] for action in back["actions"])
    wait_for(lambda: "boot-count 2" in _console(fresh_lab, "web-1"), 120, "web-1 has not booted its old disk")

    spec.unlink()
    controller.apply()
    assert controller.ask("tombstone", "purge", "web-1", "--yes").code == 0
    controller.apply()
    assert not list((fresh_lab.shared / POOL).glob("*web-1*"))


def test_deletion_policy_delete_takes_the_disk_too(fresh_lab: Lab, tmp_path: Path) -> None:
    """With deletionPolicy: delete the disk goes with the VM, and the plan calls that data-loss."""
    controller = make_controller(fresh_lab, tmp_path, image=blank_image(tmp_path))
    spec = controller.write("vms/web-1.yaml", vm_spec("web-1", extra="deletionPolicy: delete"))
    controller.apply()

    spec.unlink()
    plan = controller.plan()
    controller.apply()

    assert "data-loss" in {action["disruption"] for action in plan["actions"]}
    assert not list((fresh_lab.shared / POOL).glob("*web-1*"))


def test_a_change_is_staged_until_the_guest_restarts(fresh_lab: Lab, tmp_path: Path) -> None:
    """More memory is staged and said to be pending; updatePolicy: restart lets the controller do it."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"])
    controller.apply()
    first = wait_for(lambda: boots(fresh_lab, "web-1"), 120, "web-1 has not booted")

    controller.write("vms/web-1.yaml", vm_spec("web-1", memory="192MiB"))
    controller.apply(expect=(3,))
    staged = controller.run("plan")
    status = controller.run("status", "--json").json()
    controller.write("vms/web-1.yaml", vm_spec("web-1", memory="192MiB", extra="updatePolicy: restart"))
    controller.apply()

    assert staged.code == 0
    assert "memory: 160MiB → 192MiB" in staged.out
    assert [vm["restartPending"] for vm in status["vms"]] == [True]
    second = wait_for(lambda: boots(fresh_lab, "web-1")[len(first) :], 120, "web-1 has not booted again")
    assert second[0] not in first
    assert controller.plan()["unmet"] == []


def test_a_disk_grows_while_the_guest_runs(fresh_lab: Lab, tmp_path: Path) -> None:
    """A larger size is a larger disk in the running guest; a smaller one is refused before anything happens."""
    controller = make_controller(fresh_lab, tmp_path, ["web-1"], image=blank_image(tmp_path))
    controller.apply()
    host = fresh_lab.host(homes(fresh_lab, "web-1")[0])

    controller.write("vms/web-1.yaml", vm_spec("web-1").replace("96MiB", "128MiB"))
    controller.apply()
    grown = host.virsh("domblkinfo", "web-1", "vda")
    controller.write("vms/web-1.yaml", vm_spec("web-1").replace("96MiB", "100MiB"))
    shrink = controller.plan()

    assert str(128 << 20) in grown
    assert [item["reason"] for item in shrink["unmet"]] == ["immutable"]
    assert shrink["actions"] == []


def test_a_lost_ledger_is_rebuilt_and_nothing_is_deleted(fresh_lab: Lab, tmp_path: Path) -> None:
    """Without its state directory the controller finds its VMs by their marks and has nothing to do."""
    controller = make_controller(fresh_lab, tmp_path, VMS[:2], image=blank_image(tmp_path))
    controller.apply()
    before = {name: homes(fresh_lab, name) for name in VMS[:2]}

    for file in controller.state.glob("ledger*"):
        file.unlink()
    applied = controller.apply()

    assert controller.plan()["actions"] == [], applied.out
    assert {name: homes(fresh_lab, name) for name in VMS[:2]} == before


def test_a_host_out_of_sight_hides_and_slows_nobody_else(fresh_lab: Lab, tmp_path: Path) -> None:
    """With one libvirtd stopped the plan covers the others, says what it could not see, and makes no second copy."""
    controller = make_controller(fresh_lab, tmp_path, VMS[:3], image=blank_image(tmp_path))
    controller.apply()
    hung = fresh_lab.hosts[2]
    theirs = [name for name in VMS[:3] if homes(fresh_lab, name) == [hung.name]]

    hung.hang()
    ran = controller.run("plan", "--json")
    plan = json.loads(ran.out)
    text = controller.run("plan").out
    hung.resume()

    assert plan["actions"] == []
    assert {(item["target"], item["reason"]) for item in plan["unmet"]} == {
        (f"VirtualMachine/{name}", "host-unread") for name in theirs
    }
    assert hung.name in text
    assert wait_for(lambda: controller.plan(whole=False)["unmet"] == [], 15, f"{hung.name} did not come back")


def _console(lab: Lab, name: str) -> str:
    return "".join(host.console(name) for host in lab.hosts)

"""A host is emptied for maintenance: about as fast as by hand, and nothing of its VMs is left on it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import libvirt
import pytest

from tests.lab.controller import Controller, boots, homes, host_specs, make_controller, running, stop, ticks, vm_spec
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, wait_for

pytestmark = pytest.mark.lab

_VMS = ("db-1", "web-1", "web-2")


def _states(lab: Lab, controller: Controller, **states: str) -> None:
    """Hosts in these states, the others active."""
    text = host_specs(lab)
    for name, state in states.items():
        text = text.replace(f"uri: {lab.host(name).uri}", f"state: {state}\n  uri: {lab.host(name).uri}")
    controller.write("hosts.yaml", text)


def _migrate_by_hand(source: LabHost, target: LabHost, name: str) -> None:
    source.virsh("migrate", "--live", "--p2p", "--persistent", "--undefinesource", "--unsafe", name, target.uri)


def _host(controller: Controller, name: str) -> dict[str, Any]:
    (found,) = (host for host in controller.run("status", "--json").json()["hosts"] if host["name"] == name)
    return dict(found)


def test_a_host_is_emptied_and_safe_to_power_off(fresh_lab: Lab, tmp_path: Path) -> None:
    lab, controller = fresh_lab, make_controller(fresh_lab, tmp_path, ())
    h1, h2 = lab.host("h1"), lab.host("h2")
    _states(lab, controller, h2="cordoned", h3="cordoned")
    for name in _VMS:
        extra = "placement: {onDrain: shutdown}" if name == "db-1" else ""
        spec = vm_spec(name, extra=extra)
        if name == "web-2":
            spec = spec.replace("model: qemu64", "model: fleet-baseline")
        controller.write(f"vms/{name}.yaml", spec)
    controller.write("vms/off-1.yaml", vm_spec("off-1", extra="runStrategy: Halted"))
    controller.apply()
    wait_for(lambda: min(ticks(lab, name) for name in _VMS) >= 3, 180, "they have not booted")
    assert all(running(lab, name) == ["h1"] for name in _VMS)

    movable = controller.run("status", "--migratability", "--json").json()
    assert {vm["name"]: [host["reason"] for host in vm["hosts"]] for vm in movable} == {
        name: ["cordoned", "cordoned"] for name in (*_VMS, "off-1")
    }

    # -- by hand, two at a time ------------------------------------------------------------------------------------
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: _migrate_by_hand(h1, h2, name), _VMS))
    by_hand = time.monotonic() - begun
    h1.virsh("migrate", "--offline", "--p2p", "--persistent", "--undefinesource", "off-1", h2.uri)
    _states(lab, controller, h2="cordoned", h3="cordoned")
    controller.apply()
    assert all(homes(lab, name) == ["h2"] for name in (*_VMS, "off-1"))

    # -- by its spec -----------------------------------------------------------------------------------------------
    daemon = controller.start("run", log=tmp_path / "daemon.log")
    guests = libvirt.open(h2.local_uri)
    try:
        wait_for(lambda: _host(controller, "h2")["health"] == "online", 60, "it does not run")
        begun = time.monotonic()
        _states(lab, controller, h2="maintenance", h3="cordoned")
        wait_for(lambda: not guests.numOfDomains(), 120, "it is not empty")
        by_spec = time.monotonic() - begun
        told = wait_for(lambda: _safe(controller), 30, "status does not say that it is safe")
    finally:
        guests.close()
        stop(daemon)

    print(f"emptied in {by_spec:.2f} s, by hand in {by_hand:.2f} s: {by_spec / by_hand:.2f} times")
    assert told["message"] == "safe to power off"
    assert h2.virsh("list", "--all", "--name").split() == []
    assert all(homes(lab, name) == ["h1"] for name in (*_VMS, "off-1"))
    assert all(len(boots(lab, name)) == 1 for name in _VMS)
    assert controller.plan()["actions"] == []
    controller.write("vms/off-1.yaml", vm_spec("off-1"))
    controller.apply()
    assert running(lab, "off-1") == ["h1"]


def _safe(controller: Controller) -> dict[str, Any] | None:
    host = _host(controller, "h2")
    return host if host["drain"]["safeToPowerOff"] else None

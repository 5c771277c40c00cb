"""Versions of a VM's disks, made by real libvirt hosts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from reconciler.model.version import read_manifest
from tests.lab.controller import POOL, host_specs, make_controller
from tests.lab.hosts import Lab

pytestmark = pytest.mark.lab

_GOLDEN = """apiVersion: reconciler/v1
kind: Image
metadata: {name: golden}
spec: {source: {vm: web-1}, pool: %s, quiesce: never}
"""


def test_a_running_guest_is_captured_into_a_version_whose_files_are_as_recorded(fresh_lab: Lab, tmp_path: Path) -> None:
    controller = make_controller(fresh_lab, tmp_path, ["web-1"])
    controller.write("hosts.yaml", host_specs(fresh_lab, ["h1", "h2"]))
    controller.write("golden.yaml", _GOLDEN % POOL)

    controller.apply()

    folder = fresh_lab.shared / POOL
    (manifest,) = folder.glob("*.version.json")
    version = read_manifest(manifest.read_bytes())
    assert version is not None, msgspec.json.decode(manifest.read_bytes())
    for disk in version.disks:
        content = (folder / disk.volume).read_bytes()
        assert disk.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert controller.plan()["actions"] == []

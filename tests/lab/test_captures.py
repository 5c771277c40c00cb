"""Versions of a guest that runs, made by real libvirt hosts, whatever happens to the controller meanwhile."""

from __future__ import annotations

import hashlib
import os
import random
import time
from pathlib import Path
from typing import Final

import pytest

from reconciler.ledger.store import Ledger
from reconciler.model.identity import version_manifest
from reconciler.model.version import ImageVersion, read_manifest
from tests.lab.agent import agent_answers, is_frozen
from tests.lab.controller import POOL, Controller, host_specs, make_controller
from tests.lab.hosts import Lab, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

_KILLS: Final = 7
_GOLDEN: Final = """apiVersion: reconciler/v1
kind: Image
metadata: {name: golden}
spec: {source: {vm: web-1}, pool: %s, quiesce: require%s}
"""
_DRILL: Final = ', drill: {schedule: "0 4 * * 0", expect: agent-ping, timeout: 1m}'


def test_a_running_guest_is_captured_whenever_the_controller_is_killed_and_what_was_made_passes_its_drill(
    fresh_lab: Lab, tmp_path: Path
) -> None:
    """After kill -9 at each of 7 random instants no version is listed that is not whole, and none is lost."""
    seed = int(os.environ.get("RECONCILER_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"RECONCILER_CRASH_SEED={seed}")
    instants = random.Random(seed)  # noqa: S311  a schedule, not a secret
    controller = make_controller(fresh_lab, tmp_path, ["web-1"])
    controller.write("hosts.yaml", host_specs(fresh_lab, ["h1"]))
    controller.apply()
    wait_for(lambda: agent_answers(fresh_lab.host("h1"), "web-1"), 60, "no agent")
    controller.write("golden.yaml", _GOLDEN % (POOL, ""))

    began = time.monotonic()
    controller.apply()
    takes = time.monotonic() - began
    kept = _whole_versions(fresh_lab, controller)
    assert len(kept) == 1
    for number in range(_KILLS):
        _ask_for_one(controller)
        process = controller.start("apply", "--yes", log=tmp_path / f"kill-{number}.log")
        time.sleep(instants.uniform(0.3, 1.0) * takes)
        process.kill()
        process.wait()
        assert kept <= (kept := _whole_versions(fresh_lab, controller))

    _ask_for_one(controller)
    controller.apply()
    assert kept < (made := _whole_versions(fresh_lab, controller))
    assert not is_frozen(fresh_lab.host("h1"), "web-1")
    assert {path.name for path in (fresh_lab.shared / POOL).glob("*.golden.*")} == {
        name for version in made for name in _files(version)
    }
    assert {version.consistency for version in made} == {"quiesced"}

    controller.write("golden.yaml", _GOLDEN % (POOL, _DRILL))
    controller.apply()
    with Ledger(controller.state) as ledger:
        drilled = ledger.view().drills["golden"]
    assert drilled.passed, drilled
    assert drilled.stamp == max(version.stamp for version in made)
    assert controller.plan()["actions"] == []


def _ask_for_one(controller: Controller) -> None:
    with Ledger(controller.state) as ledger:
        if not ledger.view().captures:
            ledger.request_capture("golden", time.time())


def _whole_versions(lab: Lab, controller: Controller) -> set[ImageVersion]:
    """All that are listed, each of which is found whole, and as its manifest says."""
    folder = lab.shared / POOL
    with Ledger(controller.state) as ledger:
        listed = ledger.view().versions.get("golden", ())
    for version in listed:
        assert read_manifest((folder / _files(version)[0]).read_bytes()) == version
        for disk in version.disks:
            assert disk.digest == f"sha256:{hashlib.sha256((folder / disk.volume).read_bytes()).hexdigest()}"
    return set(listed)


def _files(version: ImageVersion) -> list[str]:
    manifest = version_manifest("default", version.image, version.stamp)
    return [manifest, *(disk.volume for disk in version.disks)]

"""A version is booted on a real host as a throw-away VM, tried, and nothing of it is left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.clock import SystemClock
from reconciler.executor.executor import Executor
from reconciler.hypervisor.interface import Hypervisor
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.ledger.store import Ledger
from reconciler.model import identity, steps
from reconciler.model.domain import DiskConfig, NicConfig
from reconciler.model.drill import DrillDisk, DrillResult
from reconciler.model.policy import Policy
from tests.contract.objects import domain_config
from tests.lab.guest import tiny_image
from tests.lab.hosts import Lab
from tests.unit.executor.bench import FLEET, POOL, RUN_ID, FakeImages, action, desired, plan_of

pytestmark = pytest.mark.lab

STAMP = "20261121t020000z"
VERSION = identity.version_disk_volume(FLEET, "gold", STAMP, "root")
OVERLAY = identity.drill_volume(FLEET, "gold", STAMP, "root")
NAME = identity.drill_name(FLEET, "gold")


def _step(host: Hypervisor, folder: str) -> steps.DrillImage:
    """A pool with one version of the tiny guest, and what tries it."""
    host.define_pool(steps.PoolConfig(POOL, identity.pool_uuid(FLEET, POOL), "dir", folder))
    image = tiny_image()
    host.create_volume(POOL, VERSION, format="raw", capacity=image.stat().st_size)
    with image.open("rb") as content:
        host.upload_volume(POOL, VERSION, content, image.stat().st_size, lambda _done: None)
    version = (host.pool(POOL, refresh=True).volumes or {})[VERSION]
    assert version.format == "qcow2"
    made = domain_config(NAME, DiskConfig("vda", f"{folder}/{OVERLAY}", "qcow2"))
    return steps.DrillImage(
        image="gold",
        stamp=STAMP,
        pool=POOL,
        config=replace(
            made,
            uuid=identity.drill_uuid(FLEET, "gold"),
            nics=(NicConfig(identity.drill_mac(FLEET, "gold", 0), NAME),),
            memory=128 << 20,
            max_memory=128 << 20,
            mark=None,
        ),
        network=steps.NetworkConfig(
            NAME, identity.drill_uuid(FLEET, "gold", "Network"), "isolated", None, None, dhcp=False
        ),
        pool_host=host.name,
        disks=(DrillDisk(OVERLAY, version.capacity, (VERSION,)),),
        timeout=60.0,
    )


def test_a_version_passes_by_its_agent_or_its_console_and_fails_in_time(fresh_lab: Lab, tmp_path: Path) -> None:
    """The version's file stays as it is, byte for byte; the throw-away VM, its network and its overlay are gone."""
    folder = f"{fresh_lab.shared}/vms"
    fleet = LibvirtFleet({"h1": fresh_lab.hosts[0].uri})
    host, ledger = fleet.host("h1"), Ledger(tmp_path)
    executor = Executor(fleet, ledger, FakeImages(), Policy(fleet=FLEET), SystemClock())
    step = _step(host, folder)
    before = Path(folder, VERSION).read_bytes()

    def drill(**changes: object) -> DrillResult:
        made = plan_of(action(replace(step, **changes), "Image/gold"))
        (outcome,) = executor.execute(made, desired(), stop=threading.Event(), pass_id=RUN_ID)
        assert outcome.status == "done", outcome
        seen = host.read(pools_with_volumes=[POOL])
        assert not seen.domains
        assert NAME not in seen.networks
        assert set(seen.pools[POOL].volumes or ()) == {VERSION}
        return ledger.view().drills["gold"]

    by_agent, by_console = drill(), drill(console="^tick [0-9]+ ")
    in_vain = drill(console="no guest says this", timeout=3.0)

    fleet.close()
    assert (by_agent.passed, by_console.passed, in_vain.passed) == (True, True, False)
    assert in_vain.passed_at == by_console.at
    assert Path(folder, VERSION).read_bytes() == before

"""Storage that is really full: what is made there fails with that, and a guest that writes there is paused."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from reconciler.errors import HostError, HostRefused, NoSpace
from reconciler.hypervisor.interface import Hypervisor
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.model.domain import DiskConfig
from reconciler.model.steps import PoolConfig
from tests.contract.objects import MIB, domain_config, uuid_of
from tests.lab.guest import tiny_image
from tests.lab.hosts import Lab
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def folder(fresh_lab: Lab) -> Iterator[str]:
    """A file system of 2 MiB on the first host alone."""
    host = fresh_lab.hosts[0]
    path = f"{fresh_lab.local}/small"
    host.exec(["mkdir", "-p", path])
    host.exec(["mount", "-t", "tmpfs", "-o", "size=2m", "none", path])
    yield path
    host.exec(["umount", "-l", path])


@pytest.fixture
def host(fresh_lab: Lab) -> Iterator[Hypervisor]:
    fleet = LibvirtFleet({"h1": fresh_lab.hosts[0].uri})
    yield fleet.host("h1")
    fleet.close()


def test_a_full_pool_is_told_as_that_and_a_guest_that_writes_into_it_is_paused(
    fresh_lab: Lab, host: Hypervisor, folder: str
) -> None:
    """Another pool of the same host takes what this one could not; why the guest is paused is known."""
    large = f"{fresh_lab.local}/large"
    host.define_pool(PoolConfig("small", uuid_of("small"), "dir", folder))
    host.define_pool(PoolConfig("large", uuid_of("large"), "dir", large))
    image = tiny_image().read_bytes()
    for pool in ("small", "large"):
        host.create_volume(pool, "f.base.raw", format="raw", capacity=len(image))
    with pytest.raises(NoSpace):
        host.upload_volume("small", "f.base.raw", io.BytesIO(image), len(image), lambda _done: None)
    host.delete_volume("small", "f.base.raw")
    host.upload_volume("large", "f.base.raw", io.BytesIO(image), len(image), lambda _done: None)
    base = (host.pool("large", refresh=True).volumes or {})["f.base.raw"]
    overlay = host.create_volume("small", "f.web-1.root.qcow2", format="qcow2", capacity=base.capacity, backing=base)
    left = host.pool("small", refresh=True).available
    host.create_volume("small", "f.fill.raw", format="raw", capacity=left)
    host.upload_volume("small", "f.fill.raw", io.BytesIO(bytes(left)), left, lambda _done: None)
    config = domain_config("web-1", DiskConfig("vda", overlay.path, "qcow2"))
    host.define_domain(replace(config, memory=128 * MIB, max_memory=128 * MIB))

    host.start_domain(config.uuid)

    wait_for(lambda: host.domain_state(config.uuid) == "paused", 60, "the guest goes on writing")
    assert host.domain(config.uuid).reason == "ioerror"


def test_an_upload_that_is_cut_fails_and_is_done_again(fresh_lab: Lab, host: Hypervisor) -> None:
    """The host's daemon is killed in the middle; whether the file is whole is never taken from its being there."""
    host.define_pool(PoolConfig("vms", uuid_of("vms"), "dir", f"{fresh_lab.local}/vms"))
    host.create_volume("vms", "f.base.raw", format="raw", capacity=4 * MIB)
    cuts = iter([fresh_lab.hosts[0].restart_libvirtd])

    def cut(_done: int) -> None:
        next(cuts, lambda: None)()

    with pytest.raises(HostError):
        host.upload_volume("vms", "f.base.raw", io.BytesIO(bytes(4 * MIB)), 4 * MIB, cut)
    host.start_pool("vms")
    moved: list[int] = []
    host.upload_volume("vms", "f.base.raw", io.BytesIO(bytes(4 * MIB)), 4 * MIB, moved.append)

    assert sum(moved) == 4 * MIB


def test_a_pool_that_is_off_is_refused_and_nothing_is_made_in_its_folder(fresh_lab: Lab, host: Hypervisor) -> None:
    """What would be written there, where its storage is not mounted, would be hidden once it is."""
    host.define_pool(PoolConfig("vms", uuid_of("vms"), "dir", f"{fresh_lab.local}/vms"))
    fresh_lab.hosts[0].virsh("pool-destroy", "vms")

    with pytest.raises(HostRefused):
        host.create_volume("vms", "f.a.raw", format="raw", capacity=MIB)

    assert not host.read().pools["vms"].active
    assert list((fresh_lab.hosts[0].local / "vms").iterdir()) == []

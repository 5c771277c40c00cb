"""What every implementation promises of pools, volumes and networks."""

import io

import pytest
from msgspec.structs import replace

from reconciler.errors import ObjectConflict, ObjectNotFound
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.steps import PoolConfig
from tests.contract.conftest import Ground
from tests.contract.objects import MIB, network_config, pool_config, uuid_of


@pytest.fixture
def pool(ground: Ground) -> PoolConfig:
    config = pool_config(ground.pool_path)
    ground.host.define_pool(config)
    return config


# -- pools ---------------------------------------------------------------------------------------------------------
def test_a_defined_pool_is_active_autostarted_and_empty(ground: Ground, pool: PoolConfig) -> None:
    seen = ground.host.pool("vms")

    assert (seen.uuid, seen.type, seen.target) == (pool.uuid, "dir", ground.pool_path)
    assert seen.active
    assert seen.autostart
    assert seen.volumes == {}
    assert 0 < seen.available <= seen.capacity


def test_defining_a_pool_again_is_fine(host: Hypervisor, pool: PoolConfig) -> None:
    before = host.pool("vms")

    host.define_pool(pool)

    assert host.pool("vms").uuid == before.uuid


def test_a_pool_name_that_is_taken_is_a_conflict(host: Hypervisor, pool: PoolConfig) -> None:
    with pytest.raises(ObjectConflict):
        host.define_pool(replace(pool, uuid=uuid_of("another")))


def test_starting_an_active_pool_is_fine(host: Hypervisor, pool: PoolConfig) -> None:
    host.start_pool(pool.name)

    assert host.pool(pool.name).active


def test_autostart_of_a_pool_is_cleared(host: Hypervisor, pool: PoolConfig) -> None:
    host.set_pool_autostart(pool.name, autostart=False)

    assert not host.read().pools[pool.name].autostart


def test_an_unknown_pool_is_not_found(host: Hypervisor) -> None:
    with pytest.raises(ObjectNotFound):
        host.pool("nowhere")
    with pytest.raises(ObjectNotFound):
        host.create_volume("nowhere", "f.a.raw", format="raw", capacity=MIB)


def test_volumes_are_read_for_the_pools_that_were_asked_for(host: Hypervisor, pool: PoolConfig) -> None:
    host.create_volume(pool.name, "f.a.raw", format="raw", capacity=MIB)

    assert host.read().pools[pool.name].volumes is None
    assert set(host.read(pools_with_volumes=[pool.name]).pools[pool.name].volumes or ()) == {"f.a.raw"}


# -- volumes -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("volume_format", ["raw", "qcow2"])
def test_a_created_volume_is_there_as_it_was_asked_for(ground: Ground, pool: PoolConfig, volume_format: str) -> None:
    name = f"f.a.{volume_format}"

    made = ground.host.create_volume(pool.name, name, format=volume_format, capacity=8 * MIB)

    assert (made.name, made.path) == (name, f"{ground.pool_path}/{name}")
    assert (made.format, made.capacity, made.backing_path) == (volume_format, 8 * MIB, None)
    assert ground.host.volume(pool.name, name) == made


def test_an_empty_volume_can_be_made(host: Hypervisor, pool: PoolConfig) -> None:
    made = host.create_volume(pool.name, "f.base.complete", format="raw", capacity=0)

    assert made.capacity == 0


def test_an_overlay_refers_to_its_base(host: Hypervisor, pool: PoolConfig) -> None:
    base = host.create_volume(pool.name, "f.base.qcow2", format="qcow2", capacity=4 * MIB)

    overlay = host.create_volume(pool.name, "f.a.qcow2", format="qcow2", capacity=8 * MIB, backing=base)

    assert (overlay.backing_path, overlay.capacity) == (base.path, 8 * MIB)


def test_a_volume_name_that_is_taken_is_a_conflict(host: Hypervisor, pool: PoolConfig) -> None:
    host.create_volume(pool.name, "f.a.raw", format="raw", capacity=MIB)

    with pytest.raises(ObjectConflict):
        host.create_volume(pool.name, "f.a.raw", format="raw", capacity=MIB)


def test_a_volume_that_is_not_there_is_none(host: Hypervisor, pool: PoolConfig) -> None:
    assert host.volume(pool.name, "f.nothing.raw") is None


def test_a_volume_made_by_another_host_of_a_shared_pool_is_seen(ground: Ground, pool: PoolConfig) -> None:
    ground.other.define_pool(pool)
    ground.other.create_volume(pool.name, "f.a.raw", format="raw", capacity=MIB)

    assert ground.host.volume(pool.name, "f.a.raw") is not None
    assert "f.a.raw" in (ground.host.pool(pool.name, refresh=True).volumes or {})


def test_a_grown_volume_has_its_new_capacity(host: Hypervisor, pool: PoolConfig) -> None:
    host.create_volume(pool.name, "f.a.qcow2", format="qcow2", capacity=4 * MIB)

    host.grow_volume(pool.name, "f.a.qcow2", 8 * MIB, format="qcow2")

    grown = host.volume(pool.name, "f.a.qcow2")
    assert grown is not None
    assert grown.capacity == 8 * MIB


@pytest.mark.parametrize("volume_format", ["raw", "qcow2"])
def test_a_full_copy_is_as_large_as_asked_and_has_no_base(
    host: Hypervisor, pool: PoolConfig, volume_format: str
) -> None:
    host.create_volume(pool.name, "f.base.qcow2", format="qcow2", capacity=4 * MIB)

    name = f"f.a.{volume_format}"
    copy = host.clone_volume(
        pool.name, name, format=volume_format, capacity=8 * MIB, source="f.base.qcow2", source_format="qcow2"
    )

    assert (copy.format, copy.capacity, copy.backing_path) == (volume_format, 8 * MIB, None)


def test_copying_from_a_volume_that_is_not_there_is_not_found(host: Hypervisor, pool: PoolConfig) -> None:
    with pytest.raises(ObjectNotFound):
        host.clone_volume(pool.name, "f.a.raw", format="raw", capacity=MIB, source="f.nothing.raw", source_format="raw")


def test_deleting_a_volume_twice_is_fine(host: Hypervisor, pool: PoolConfig) -> None:
    host.create_volume(pool.name, "f.a.raw", format="raw", capacity=MIB)

    host.delete_volume(pool.name, "f.a.raw")
    host.delete_volume(pool.name, "f.a.raw")

    assert host.volume(pool.name, "f.a.raw") is None


def test_an_upload_tells_its_progress_to_the_last_byte(host: Hypervisor, pool: PoolConfig) -> None:
    host.create_volume(pool.name, "f.a.raw", format="raw", capacity=MIB)
    moved: list[int] = []

    host.upload_volume(pool.name, "f.a.raw", io.BytesIO(b"x" * MIB), MIB, moved.append)

    assert sum(moved) == MIB


def test_an_upload_is_cancelled_by_its_progress(host: Hypervisor, pool: PoolConfig) -> None:
    host.create_volume(pool.name, "f.a.raw", format="raw", capacity=2 * MIB)

    def cancel(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.upload_volume(pool.name, "f.a.raw", io.BytesIO(b"x" * 2 * MIB), 2 * MIB, cancel)


# -- networks ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["nat", "isolated", "routed"])
def test_a_defined_network_is_active_and_as_it_was_asked_for(host: Hypervisor, mode: str) -> None:
    config = network_config(mode)

    host.define_network(config)

    seen = host.read().networks["lan"]
    assert (seen.uuid, seen.mode, seen.subnet, seen.dhcp) == (config.uuid, mode, config.subnet, config.dhcp)
    assert seen.active
    assert seen.autostart


def test_a_network_name_that_is_taken_is_a_conflict(host: Hypervisor) -> None:
    host.define_network(network_config())

    with pytest.raises(ObjectConflict):
        host.define_network(replace(network_config(), uuid=uuid_of("another")))


def test_a_network_is_stopped_and_started_as_often_as_one_likes(host: Hypervisor) -> None:
    host.define_network(network_config())

    host.stop_network("lan")
    host.stop_network("lan")
    assert not host.read().networks["lan"].active
    host.start_network("lan")
    host.start_network("lan")
    assert host.read().networks["lan"].active


def test_a_network_that_is_off_is_brought_to_a_new_configuration(host: Hypervisor) -> None:
    host.define_network(network_config())
    host.stop_network("lan")

    host.define_network(replace(network_config(), subnet="192.168.218.0/24", dhcp=False))

    seen = host.read().networks["lan"]
    assert (seen.subnet, seen.dhcp, seen.active) == ("192.168.218.0/24", False, True)


def test_a_network_is_undefined_as_often_as_one_likes(host: Hypervisor) -> None:
    host.define_network(network_config())

    host.undefine_network("lan")
    host.undefine_network("lan")

    assert "lan" not in host.read().networks

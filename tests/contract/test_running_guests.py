"""What every implementation promises of changing a guest that runs."""

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused, ObjectNotFound
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.domain import DiskConfig, DomainConfig, IoTuneConfig, NicConfig, OwnershipMark
from reconciler.model.live_edit import (
    Adjust,
    Describe,
    EjectSeed,
    InsertSeed,
    LiveEdit,
    Plug,
    Replug,
    SetMemory,
    SetVcpus,
    Unplug,
    edited,
    is_done,
)
from tests.contract.conftest import Ground
from tests.contract.objects import MIB, SLOW, domain_config, network_config, pool_config, uuid_of


def _running(ground: Ground, **changes: object) -> DomainConfig:
    """A guest that runs, on a host with a pool, the networks `lan` and `dmz`, and two volumes that nobody uses."""
    host = ground.host
    host.define_pool(pool_config(ground.pool_path))
    host.define_network(network_config("isolated"))
    host.define_network(replace(network_config("isolated"), name="dmz", uuid=uuid_of("dmz")))
    for name in ("data", "root"):
        host.create_volume("vms", f"f.web-1.{name}.qcow2", format="qcow2", capacity=MIB)
    config = replace(domain_config(), nics=(NicConfig("52:54:00:00:00:01", "lan"),), **changes)
    host.define_domain(config)
    host.start_domain(config.uuid)
    return config


def _live(host: Hypervisor, config: DomainConfig) -> DomainConfig:
    live = host.domain(config.uuid).live
    assert live is not None
    return live


@pytest.mark.parametrize(
    "edit",
    [
        SetVcpus(2),
        Plug(NicConfig("52:54:00:00:00:02", "lan")),
        Replug(NicConfig("52:54:00:00:00:01", "dmz", bandwidth=SLOW)),
        Adjust(NicConfig("52:54:00:00:00:01", "lan", link="down")),
        Adjust(NicConfig("52:54:00:00:00:01", "lan", bandwidth=SLOW)),
        Describe("Shop", "two\nlines"),
    ],
    ids=["a CPU more", "a card more", "another network", "link down", "a slow card", "a title"],
)
def test_a_running_guest_is_changed_alone(ground: Ground, edit: LiveEdit) -> None:
    config = _running(ground)

    ground.host.edit_live(config.uuid, edit)

    live = _live(ground.host, config)
    assert is_done(live, edit)
    assert replace(edited(config, edit), machine=live.machine) == live
    assert replace(ground.host.domain(config.uuid).config, machine=config.machine) == config


def test_a_disk_is_plugged_into_a_running_guest(ground: Ground) -> None:
    config = _running(ground)
    disk = DiskConfig("vdb", f"{ground.pool_path}/f.web-1.data.qcow2", "qcow2")

    ground.host.edit_live(config.uuid, Plug(disk))

    assert _live(ground.host, config).disks == (disk,)


def test_a_disk_is_limited_and_not_any_more(ground: Ground) -> None:
    path = f"{ground.pool_path}/f.web-1.data.qcow2"
    disk = DiskConfig("vdb", path, "qcow2", io_tune=IoTuneConfig(total_bytes=MIB, read_iops=50, write_iops=20))
    config = _running(ground)
    ground.host.edit_live(config.uuid, Plug(disk))
    plugged = _live(ground.host, config).disks

    ground.host.edit_live(config.uuid, Adjust(replace(disk, io_tune=IoTuneConfig(read_bytes=MIB, total_iops=70))))
    tuned = _live(ground.host, config).disks
    ground.host.edit_live(config.uuid, Adjust(replace(disk, io_tune=None)))

    assert plugged == (disk,)
    assert tuned == (replace(disk, io_tune=IoTuneConfig(read_bytes=MIB, total_iops=70)),)
    assert _live(ground.host, config).disks == (replace(disk, io_tune=None),)


def test_a_disk_grows_under_a_running_guest_and_stays_so_if_asked_again(ground: Ground) -> None:
    path = f"{ground.pool_path}/f.web-1.data.qcow2"
    config = _running(ground)
    ground.host.edit_live(config.uuid, Plug(DiskConfig("vdb", path, "qcow2")))

    ground.host.grow_disk(config.uuid, path, 2 * MIB)

    assert _capacity(ground.host) == 2 * MIB
    ground.host.grow_disk(config.uuid, path, 2 * MIB)
    assert _capacity(ground.host) == 2 * MIB
    with pytest.raises(HostRefused):
        ground.host.grow_disk(config.uuid, "/no/such.qcow2", 4 * MIB)


def _capacity(host: Hypervisor) -> int:
    volume = host.volume("vms", "f.web-1.data.qcow2")
    assert volume is not None
    return volume.capacity


def test_limits_and_a_link_are_taken_off_a_card(ground: Ground) -> None:
    config = _running(ground)
    card = config.nics[0]
    ground.host.edit_live(config.uuid, Adjust(replace(card, link="down", bandwidth=SLOW)))

    ground.host.edit_live(config.uuid, Adjust(card))

    assert _live(ground.host, config).nics == (card,)


def test_a_seed_is_plugged_into_a_running_guest_as_one(ground: Ground) -> None:
    config = _running(ground)
    seed = DiskConfig("vdz", f"{ground.pool_path}/f.web-1.data.qcow2", "qcow2", read_only=True)

    ground.host.edit_live(config.uuid, InsertSeed(seed))

    assert _live(ground.host, config).seed == seed
    assert _live(ground.host, config).disks == ()


def test_a_running_domain_is_marked_with_its_definition(ground: Ground) -> None:
    config = _running(ground)
    mark = OwnershipMark(fleet="f", vm="web-1", epoch=2, spec_hash="s2", generation="g2", cpu_model="EPYC")

    ground.host.define_domain(replace(config, mark=mark))

    domain = ground.host.domain(config.uuid)
    assert domain.config.mark == mark
    assert domain.live is not None
    assert domain.live.mark == replace(mark, cpu_model="")


def test_a_running_domain_tells_the_cpu_model_that_was_asked_for_when_it_booted(ground: Ground) -> None:
    mark = OwnershipMark(fleet="f", vm="web-1", epoch=1, spec_hash="s1", generation="g1", cpu_model="host-model")
    config = _running(ground, cpu_model="host-model", mark=mark)

    ground.host.define_domain(replace(config, cpu_model="qemu64", mark=replace(mark, cpu_model="qemu64")))

    domain = ground.host.domain(config.uuid)
    assert (domain.config.cpu_model, _live(ground.host, config).cpu_model) == ("qemu64", "host-model")


@pytest.mark.parametrize(
    "edit",
    [
        SetVcpus(3),
        SetMemory(64 * MIB),
        Plug(NicConfig("52:54:00:00:00:02", "no-such")),
        Plug(DiskConfig("vdb", "/no/such.qcow2", "qcow2")),
        Unplug(NicConfig("52:54:00:00:00:09", "lan")),
        Adjust(NicConfig("52:54:00:00:00:09", "lan", link="down")),
        Adjust(DiskConfig("vdb", "/no/such.qcow2", "qcow2", io_tune=IoTuneConfig(total_iops=9))),
        EjectSeed(DiskConfig("vdz", "/no/such.iso", "raw", read_only=True)),
        InsertSeed(DiskConfig("vdz", "/no/such.iso", "raw", read_only=True)),
    ],
    ids=[
        "CPUs beyond the ceiling",
        "memory beyond the ceiling",
        "no such network",
        "no such file",
        "no such card",
        "no such card to adjust",
        "no such disk to limit",
        "no seed",
        "no such seed",
    ],
)
def test_what_a_running_guest_has_no_room_for_is_refused_and_nothing_changes(ground: Ground, edit: LiveEdit) -> None:
    config = _running(ground)
    before = _live(ground.host, config)

    with pytest.raises((HostRefused, ObjectNotFound)):
        ground.host.edit_live(config.uuid, edit)

    assert _live(ground.host, config) == before


def test_what_a_guest_ignores_stays_as_it_is_and_may_be_asked_for_again(ground: Ground) -> None:
    """Disk, card and memory; a CPU is not given up under emulation, which real hosts are tried with here.

    It has a disk to boot from, a blank one: without it it would be busy with its network for as long as it runs.
    """
    config = _running(ground, disks=(DiskConfig("vda", f"{ground.pool_path}/f.web-1.root.qcow2", "qcow2"),))
    disk = DiskConfig("vdb", f"{ground.pool_path}/f.web-1.data.qcow2", "qcow2")
    ground.host.edit_live(config.uuid, Plug(disk))
    before = _live(ground.host, config)
    ground.make_deaf(config.name)

    for edit in (Unplug(disk), Unplug(config.nics[0]), SetMemory(16 * MIB)) * 2:
        ground.host.edit_live(config.uuid, edit)

    assert _live(ground.host, config) == before


def test_a_domain_that_is_off_has_no_guest_to_be_changed(host: Hypervisor) -> None:
    host.define_domain(domain_config())

    with pytest.raises(HostRefused):
        host.edit_live(uuid_of("web-1"), SetVcpus(2))


def test_a_console_is_listened_to_without_waiting_and_let_go_of(ground: Ground) -> None:
    config = _running(ground)

    console = ground.host.open_console(config.uuid)

    assert isinstance(console.read(), bytes)
    ground.host.destroy_domain(config.uuid)
    console.close()


def test_the_console_of_a_guest_that_is_off_is_refused(ground: Ground) -> None:
    config = _running(ground)
    ground.host.destroy_domain(config.uuid)

    with pytest.raises(HostRefused):
        ground.host.open_console(config.uuid)

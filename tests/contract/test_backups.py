"""What every implementation promises of copying a running domain's disks, and of reading volumes."""

import io
import os
from typing import Final

import pytest
from msgspec.structs import replace

from reconciler.errors import CheckpointLost, HostError, HostRefused, ObjectNotFound
from reconciler.model.backup import BackupDisk, BackupEnd
from reconciler.model.domain import DiskConfig
from tests.contract.conftest import Ground
from tests.contract.objects import MIB, domain_config, pool_config, uuid_of
from tests.lab.waiting import wait_for

UUID: Final = uuid_of("web-1")
SECONDS: Final = 30
NOISE: Final = os.urandom(16 * 1024)
SIZE: Final = 192 * MIB
"""QEMU has 64 MiB in flight at once, whatever the limit."""
_TIMES: Final = SIZE // len(NOISE)
"""As often as it takes to fill a disk: what is empty is copied in no time. The simulator remembers the beginning."""


def _running(ground: Ground, *disks: str, disk_format: str = "raw") -> tuple[BackupDisk, ...]:
    """A guest that runs with `disks`, each with its own content if raw, and an empty file for a copy of each."""
    host, made, copies = ground.host, [], []
    host.define_pool(pool_config(ground.pool_path))
    for device in disks:
        volume = f"f.web-1.{device}.{disk_format}"
        host.create_volume("vms", volume, format=disk_format, capacity=SIZE)
        if disk_format == "raw":
            content = (_content(device) * _TIMES)[:SIZE]
            host.upload_volume("vms", volume, io.BytesIO(content), len(content), lambda _: None)
        made.append(DiskConfig(device, f"{ground.pool_path}/{volume}", disk_format))  # type: ignore[arg-type]
        copies.append(BackupDisk(device, _copy_for(ground, f"f.golden.20261122t020000z.{device}.qcow2")))
    host.define_domain(domain_config("web-1", *made))
    host.start_domain(UUID)
    return tuple(copies)


def _content(device: str) -> bytes:
    return device.encode() + NOISE


def _copy_for(ground: Ground, volume: str) -> str:
    return ground.host.create_volume("vms", volume, format="qcow2", capacity=SIZE).path


def _finished(ground: Ground) -> BackupEnd:
    """Simulated time passes with each look."""

    def ended() -> BackupEnd | None:
        ground.pass_time(1.0)
        return ground.host.finished_backup(UUID) if ground.host.backup_job(UUID) is None else None

    return wait_for(ended, SECONDS, "the copy does not end")


def _downloaded(ground: Ground, volume: str, *, offset: int = 0, length: int = 0) -> bytes:
    sink = io.BytesIO()
    told: list[int] = []
    size = ground.host.download_volume("vms", volume, sink, told.append, offset=offset, length=length)
    assert size == sum(told) == len(sink.getvalue())
    return sink.getvalue()


def test_two_disks_of_a_running_guest_are_copied_into_files_that_were_there(ground: Ground) -> None:
    copies = _running(ground, "vda", "vdb")

    ground.host.begin_backup(UUID, copies)

    assert _finished(ground).succeeded
    assert ground.host.domain_state(UUID) == "running"
    for disk in copies:
        plain = f"f.plain.{disk.device}.raw"
        source = disk.path.rpartition("/")[2]
        ground.host.clone_volume("vms", plain, format="raw", capacity=SIZE, source=source, source_format="qcow2")
        assert _downloaded(ground, plain)[: len(NOISE) + 3] == _content(disk.device)


def test_a_copy_under_way_tells_how_far_it_is_and_where_it_goes_until_it_is_aborted(ground: Ground) -> None:
    copies = _running(ground, "vda")
    ground.host.begin_backup(UUID, copies)
    ground.host.limit_backup(UUID, 64 * 1024)

    job = ground.host.backup_job(UUID)
    ground.host.abort_backup(UUID)

    assert job is not None
    assert job.targets == (copies[0].path,)
    assert 0 <= job.done < job.total
    assert not _finished(ground).succeeded


def test_a_guest_of_which_no_copy_is_made_has_no_job_and_aborting_is_fine(ground: Ground) -> None:
    _running(ground, "vda")

    ground.host.abort_backup(UUID)

    assert ground.host.backup_job(UUID) is None
    assert ground.host.finished_backup(UUID) is None
    assert ground.host.backup_job(uuid_of("nobody")) is None


def test_disks_of_a_guest_that_is_off_are_not_copied_so(ground: Ground) -> None:
    copies = _running(ground, "vda")
    ground.host.destroy_domain(UUID)

    with pytest.raises(HostRefused):
        ground.host.begin_backup(UUID, copies)


def test_what_changed_since_a_checkpoint_is_copied_alone(ground: Ground) -> None:
    copies = _running(ground, "vda", disk_format="qcow2")
    ground.host.begin_backup(UUID, copies, checkpoint="first")
    assert _finished(ground).succeeded
    next_one = replace(copies[0], path=_copy_for(ground, "f.golden.20261123t020000z.vda.qcow2"))

    ground.host.begin_backup(UUID, (next_one,), checkpoint="second", incremental="first")

    assert _finished(ground).succeeded
    assert ground.host.checkpoints(UUID) == ("first", "second")


def test_a_copy_that_would_go_on_from_a_checkpoint_that_is_gone_is_refused_as_that(ground: Ground) -> None:
    copies = _running(ground, "vda", disk_format="qcow2")

    with pytest.raises(CheckpointLost):
        ground.host.begin_backup(UUID, copies, checkpoint="second", incremental="first")

    assert ground.host.backup_job(UUID) is None
    assert ground.host.checkpoints(UUID) == ()


def test_a_file_that_is_smaller_than_the_disk_is_refused_and_the_host_lives(ground: Ground) -> None:
    """Libvirtd 9.0 crashes of it."""
    _running(ground, "vda", disk_format="qcow2")
    small = ground.host.create_volume("vms", "f.golden.small.qcow2", format="qcow2", capacity=SIZE // 2)

    with pytest.raises(HostRefused):
        ground.host.begin_backup(UUID, (BackupDisk("vda", small.path),))

    assert ground.host.domain_state(UUID) == "running"


def test_a_checkpoint_is_deleted_and_one_that_is_gone_is_fine(ground: Ground) -> None:
    copies = _running(ground, "vda", disk_format="qcow2")
    ground.host.begin_backup(UUID, copies, checkpoint="first")
    _finished(ground)

    ground.host.delete_checkpoint(UUID, "first")
    ground.host.delete_checkpoint(UUID, "first")

    assert ground.host.checkpoints(UUID) == ()


def test_a_guest_without_an_agent_does_not_stand_still(ground: Ground) -> None:
    ground.host.define_domain(replace(domain_config(), agent_channel=False))
    ground.host.start_domain(UUID)

    with pytest.raises(HostError):
        ground.host.freeze_filesystems(UUID)
    with pytest.raises(HostError):
        ground.host.thaw_filesystems(UUID)


def test_what_was_put_into_a_volume_is_read_from_it_in_whole_or_in_part(ground: Ground) -> None:
    ground.host.define_pool(pool_config(ground.pool_path))
    ground.host.create_volume("vms", "f.a.raw", format="raw", capacity=0)
    ground.host.upload_volume("vms", "f.a.raw", io.BytesIO(NOISE), len(NOISE), lambda _: None)

    assert _downloaded(ground, "f.a.raw") == NOISE
    assert _downloaded(ground, "f.a.raw", offset=100, length=200) == NOISE[100:300]


def test_a_download_ends_with_what_its_sink_raises_and_the_next_one_goes(ground: Ground) -> None:
    ground.host.define_pool(pool_config(ground.pool_path))
    ground.host.create_volume("vms", "f.a.raw", format="raw", capacity=0)
    ground.host.upload_volume("vms", "f.a.raw", io.BytesIO(NOISE), len(NOISE), lambda _: None)

    def enough(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ground.host.download_volume("vms", "f.a.raw", io.BytesIO(), enough)

    assert _downloaded(ground, "f.a.raw") == NOISE


def test_a_volume_that_is_not_there_is_not_read(ground: Ground) -> None:
    ground.host.define_pool(pool_config(ground.pool_path))

    with pytest.raises(ObjectNotFound):
        ground.host.download_volume("vms", "f.none.raw", io.BytesIO(), lambda _: None)

"""Disks of new VMs, and of VMs that lost theirs with their host, made from versions."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.restores import RestoreDisk, VersionSource
from reconciler.model.spoken_time import span
from reconciler.model.version import ImageVersion, VersionDisk
from reconciler.model.virtual_machine import Disk, VirtualMachine
from reconciler.planner.version_sources import NoVersion, find_version, source_of, versions_of_vm
from reconciler.planner.world import World


class Held(Struct, frozen=True):
    """What a disk is to start as."""

    version: ImageVersion
    disk: VersionDisk
    source: VersionSource

    def step(self, disk: Disk, volume: str, storage: str, *, partial: bool) -> RestoreDisk:
        """What makes it in `volume`, through the host `storage`."""
        return RestoreDisk(
            pool=disk.pool,
            volume=volume,
            format=disk.format,
            capacity=max(disk.size or 0, self.disk.virtual_size),
            disk=disk.name,
            source=self.source,
            streamed=(self.source.pool, self.source.host) != (disk.pool, storage),
            replace_partial=partial,
        )

    def age(self, now: float) -> str:
        """`3 h 12 min old`."""
        return f"{span(now - self.version.taken_at)} old"


def held_for(world: World, vm: VirtualMachine, disk: Disk, *, lost: bool) -> Held | NoVersion | None:
    """The version that the spec names for the disk; of a disk that was lost, the newest of the VM that can be read.

    None where it is to be made in another way.
    """
    if disk.image is not None and "@" in disk.image:
        name, _, wanted = disk.image.partition("@")
        version = find_version(world, name, wanted)
        return version if isinstance(version, NoVersion) else _held(world, version, disk)
    if not lost or world.is_shared(disk.pool):
        return None
    for version in reversed(versions_of_vm(world, vm.name, disk.name)):
        found = _held(world, version, disk)
        if isinstance(found, Held):
            return found
    return None


def _held(world: World, version: ImageVersion, disk: Disk) -> Held | NoVersion:
    only = version.disks[0] if len(version.disks) == 1 and disk.image_disk is None else None
    held = version.disk(disk.image_disk or disk.name) or only
    if held is None:
        names = ", ".join(known.name for known in version.disks)
        return NoVersion(
            f"{version.name} has no disk {disk.image_disk or disk.name} (it has {names})", "write imageDisk"
        )
    source = source_of(world, version, held.name)
    return source if isinstance(source, NoVersion) else Held(version, held, source)

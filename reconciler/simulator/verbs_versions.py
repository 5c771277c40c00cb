"""Versions of VMs that are there, and files that somebody breaks."""

from __future__ import annotations

import hashlib
from typing import Final

from reconciler.hypervisor import simulated_storage as storage
from reconciler.hypervisor.simulated_world import FileState
from reconciler.ledger.store import Ledger
from reconciler.model.identity import parse_disk_volume, version_disk_volume, version_manifest
from reconciler.model.version import ImageVersion, VersionDisk, manifest_of, parse_instant, seconds_of
from reconciler.simulator.command import Verb
from reconciler.simulator.stage import Stage


def _version(stage: Stage, host: str, vm: str, image: str, instant: str) -> None:
    """As a capture leaves it: a file a disk, the manifest, and the record."""
    fleet, stamp = stage.policy.fleet, parse_instant(instant)
    people, state = stage.fleet.people(host), stage.fleet.world.hosts[host]
    entry, held, folder = people.entry(vm), list[VersionDisk](), ""
    for disk in entry.config.disks:
        folder, _, name = disk.path.rpartition("/")
        of, original = parse_disk_volume(fleet, name), people.file(disk.path)
        volume = version_disk_volume(fleet, image, stamp, of.disk if of is not None else disk.target)
        made = FileState("qcow2", original.capacity, original.allocation, 0o600)
        storage.put_data(made, storage.data_of(state, original))
        state.directory(folder).files[volume] = made
        digest = hashlib.sha256(storage.content_of(made, 0, 0)).hexdigest()
        held.append(VersionDisk(volume.split(".")[3], volume, made.capacity, made.written, f"sha256:{digest}"))
    pool = next(found for found in state.pools.values() if found.target == folder)
    directory, hosts = state.directory(folder), stage.fleet.world.hosts.values()
    is_shared = sum(other.directories.get(folder) is directory for other in hosts) > 1
    at, uuid = None if is_shared else host, entry.config.uuid
    version = ImageVersion(
        image, stamp, seconds_of(stamp), vm, uuid, pool.name, at, "", "", "quiesced", disks=tuple(held)
    )
    content = manifest_of(version)
    manifest = FileState("raw", len(content), len(content), 0o600, header=content, written=len(content))
    directory.files[version_manifest(fleet, image, stamp)] = manifest
    storage.refresh(state, pool)
    with Ledger(stage.settings.state_dir) as ledger:
        ledger.note_versions([version])
    stage.fleet.world.emit(host, "pool", pool.name, "refreshed")


def _truncate(stage: Stage, host: str, path: str) -> None:
    file = stage.fleet.people(host).file(path)
    file.format, file.capacity, file.allocation, file.written = "raw", 0, 0, 0
    file.header, file.backing_path = b"", None


VERSION_VERBS: Final = (
    Verb("version HOST VM IMAGE INSTANT", "a version of the VM is there, in the pool that it is in", _version),
    Verb("truncate-file HOST PATH", "somebody empties a file on the host", _truncate),
)

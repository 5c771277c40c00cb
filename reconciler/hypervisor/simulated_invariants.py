"""What must never happen in a fleet, whatever broke: checked at any tick of a simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.hypervisor.simulated_world import World
from reconciler.model.identity import base_marker, version_manifest, version_volume_stamp


def violations(world: World) -> tuple[str, ...]:
    """Everything that is wrong now or was at any time, in words; empty for a sound fleet."""
    with world.lock:
        return (
            *world.violations,
            *_doubles(world),
            *_shared_writes(world),
            *_missing_disks(world),
            *_partial_bases(world),
        )


def _doubles(world: World) -> Iterator[str]:
    running = Counter(entry.config.uuid for _host, entry in world.active_domains())
    for uuid, copies in running.items():
        if copies > 1:
            yield f"{copies} copies of domain {uuid} are running"


def _shared_writes(world: World) -> Iterator[str]:
    writers: Counter[int] = Counter()
    for host, entry in world.active_domains():
        for disk in entry.live.disks if entry.live else ():
            file = host.file(disk.path)
            if file is not None and not disk.read_only:
                writers[id(file)] += 1
                if writers[id(file)] == 2:
                    yield f"{disk.path} is written by {entry.config.name} and another domain"


def _missing_disks(world: World) -> Iterator[str]:
    for host, entry in world.active_domains():
        for disk in entry.live.disks if entry.live else ():
            if host.file(disk.path) is None:
                yield f"{disk.path} of {entry.config.name}, running on {host.name}, is gone"


def _partial_bases(world: World) -> Iterator[str]:
    for host, entry in world.active_domains():
        for disk in entry.live.disks if entry.live else ():
            file = host.file(disk.path)
            base = file.backing_path if file else None
            if base is not None and host.file(_vouches_for(base)) is None:
                yield f"{entry.config.name} runs on {base}, which was never complete"


def _vouches_for(base: str) -> str:
    """The file that says that a base is whole: of a version's disk its manifest."""
    folder, _, name = base.rpartition("/")
    fleet = name.partition(".")[0]
    of = version_volume_stamp(fleet, name)
    return base_marker(base) if of is None else f"{folder}/{version_manifest(fleet, *of)}"

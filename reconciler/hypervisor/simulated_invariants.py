"""What must never happen in a fleet, whatever broke: checked at any tick of a simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.hypervisor.simulated_world import World
from reconciler.model.identity import base_marker


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
            if base is not None and host.file(base_marker(base)) is None:
                yield f"{entry.config.name} runs on {base}, which was never complete"

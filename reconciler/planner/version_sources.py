"""Versions that disks are made from: the one that is meant, and whether its files are exactly those on record."""

from __future__ import annotations

from msgspec import Struct

from reconciler.model.identity import version_manifest
from reconciler.model.inventory import ObservedPool
from reconciler.model.next_command import NextCommand
from reconciler.model.restores import ChainLink, VersionSource
from reconciler.model.version import LATEST, ImageVersion, instant_of
from reconciler.planner.world import World

_LISTED = 3


class NoVersion(Struct, frozen=True):
    """Why nothing can be made from it now."""

    reason: str
    hint: str = ""


def find_version(world: World, image: str, wanted: str) -> ImageVersion | NoVersion:
    """The version of `image` that `wanted` names, an instant or `latest`."""
    versions = world.ledger.versions.get(image, ())
    found = [version for version in versions if wanted in (LATEST, instant_of(version.stamp))]
    if found:
        return found[-1]
    if not versions:
        return NoVersion(f"there is no version of Image/{image}", NextCommand("why", f"Image/{image}"))
    known = ", ".join(instant_of(version.stamp) for version in versions[-_LISTED:])
    return NoVersion(f"there is no version {image}@{wanted}", f"the newest there are: {known}")


def newest_of_vm(world: World, vm: str, disk: str) -> ImageVersion | None:
    """The newest version, of any image, that has `disk` of `vm`."""
    return next(reversed(versions_of_vm(world, vm, disk)), None)


def versions_of_vm(world: World, vm: str, disk: str) -> list[ImageVersion]:
    """All versions that have `disk` of `vm`, oldest first; also those that it has had under its first name."""
    names = (vm, world.made_as(vm))
    found = [
        version
        for versions in world.ledger.versions.values()
        for version in versions
        if version.vm in names and version.disk(disk) is not None
    ]
    return sorted(found, key=lambda version: (version.taken_at, version.name))


def source_of(world: World, version: ImageVersion, disk: str) -> VersionSource | NoVersion:
    """The files of a disk of the version, looked at: what stands on anything that is not on record is not read."""
    host = version.host or world.shared_pools.get(version.pool)
    if host is None or host not in world.inventory.hosts:
        where = f"on {host}" if host is not None else "in a pool of hosts"
        hint = NextCommand("why", f"Host/{host}") if host is not None else ""
        return NoVersion(f"{version.name} is {where}, which can't be read", hint)
    pool = world.inventory.hosts[host].pools.get(version.pool)
    if pool is None or not pool.volumes:
        return NoVersion(
            f"{version.name} is in pool {version.pool} on {host}, which could not be read",
            NextCommand("why", f"StoragePool/{version.pool}"),
        )
    links = _links(world, version, disk)
    manifest = version_manifest(world.fleet, version.image, version.stamp)
    doubt = _doubt(pool, links) if manifest in pool.volumes else f"its manifest {manifest} is gone"
    if doubt:
        return NoVersion(f"{version.name} is not as it was captured: {doubt}", "take another version")
    return VersionSource(version.name, version.pool, host, links)


def _links(world: World, version: ImageVersion, disk: str) -> tuple[ChainLink, ...]:
    """The file of the disk, and those below it; one that is not on record ends them, and is found missing."""
    recorded = {held.volume: held for known in world.ledger.versions.get(version.image, ()) for held in known.disks}
    links: list[ChainLink] = []
    held = version.disk(disk)
    while held is not None and len(links) <= len(recorded):
        links.append(ChainLink(held.volume, held.size, held.digest))
        if held.parent_volume is None:
            return tuple(links)
        held = recorded.get(held.parent_volume)
    return (*links, ChainLink("", 0, ""))


def _doubt(pool: ObservedPool, links: tuple[ChainLink, ...]) -> str:
    volumes = pool.volumes or {}
    for link, below in zip(links, (*links[1:], None), strict=True):
        there = volumes.get(link.volume)
        if there is None:
            return f"{link.volume or 'a file that it is the difference to'} is gone"
        if there.format != "qcow2":
            return f"{link.volume} is {there.format}"
        wanted = None if below is None else f"{pool.target.rstrip('/')}/{below.volume}"
        if there.backing_path != wanted:
            return f"{link.volume} stands on {there.backing_path or 'nothing'}, not on {wanted or 'nothing'}"
    return ""

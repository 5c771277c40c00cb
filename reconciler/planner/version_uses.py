"""Why versions of captured images stay: what retention says, and what needs them whatever that says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from reconciler.model.identity import version_manifest, version_volume_stamp
from reconciler.model.version import LATEST, ImageVersion, instant_of, parse_version_name, seconds_of
from reconciler.planner.retention import Dated, Reasons, kept
from reconciler.planner.schedules import due_instant
from reconciler.planner.world import World


def keeping(world: World, image: str) -> Reasons:
    """By stamp: why a version of `image` stays. What may go by the rules of its spec is not in it.

    A version that is not whole stays too, to be looked at, and takes no place of one that is.
    """
    versions = world.ledger.versions.get(image, ())
    spec = world.desired.images.get(image)
    broken = {stamp: f"damaged: {lack}" for stamp, lack in damaged(world, versions).items()}
    whole = [_dated(version) for version in versions if version.stamp not in broken]
    used = dict(uses(world, image))
    found = kept(whole, spec.spec.retention if spec is not None else None, world.now, used)
    return {**found, **{stamp: (why,) for stamp, why in broken.items()}}


def uses(world: World, image: str) -> Iterator[tuple[str, str]]:
    """Stamp of each version that something needs, and what does."""
    versions = world.ledger.versions.get(image, ())
    yield from _newer_than_a_failure(world, image, versions)
    yield from _pinned(world, image, versions)
    yield from _referred_to(world, image)
    capture = world.ledger.captures.get(image)
    if capture is not None and capture.step.parent is not None:
        yield capture.step.parent, "base of the one that is being made"


def damaged(world: World, versions: tuple[ImageVersion, ...]) -> dict[str, str]:
    """By stamp: what versions of one image lack, they themselves or what they hold only the difference to."""
    found = {version.stamp: lack for version in versions if (lack := lacks(world, version))}
    children: dict[str, list[str]] = {}
    for version in versions:
        if version.parent is not None:
            children.setdefault(version.parent, []).append(version.stamp)
    known = {version.stamp for version in versions}
    left = [*found, *(parent for parent in children if parent not in known)]
    while left:
        parent = left.pop()
        for stamp in children.get(parent, ()):
            if stamp not in found:
                found[stamp] = found.get(parent) or f"{instant_of(parent)}, which it rests on, is gone"
                left.append(stamp)
    return found


def lacks(world: World, version: ImageVersion) -> str:
    """What is missing of a version, as far as can be seen; empty where nothing is known to be."""
    host = version.host or world.shared_pools.get(version.pool, "")
    pool = world.observed_pool(version.pool, host)
    if pool is None or pool.volumes is None:
        return ""
    files = (version_manifest(world.fleet, version.image, version.stamp), *(disk.volume for disk in version.disks))
    gone = next((name for name in files if name not in pool.volumes), None)
    return "" if gone is None else f"volume {gone} is gone from pool {version.pool}"


def _dated(version: ImageVersion) -> Dated:
    return Dated(version.stamp, seconds_of(version.stamp), version.parent)


def _newer_than_a_failure(world: World, image: str, versions: tuple[ImageVersion, ...]) -> Iterator[tuple[str, str]]:
    """While the capture that is wanted fails, what came after the instant that it is wanted for stays."""
    prefix = f"capture-image:Image/{image}"
    if not any(key.partition("@")[0] == prefix for key in world.ledger.failures):
        return
    spec = world.desired.images.get(image)
    cron = spec.spec.schedule if spec is not None else None
    scheduled = world.ledger.scheduled.get(image)
    due = due_instant(cron, () if scheduled is None else (scheduled,), world.now) if cron is not None else None
    wanted = [at for at in (due, world.ledger.capture_requests.get(image)) if at is not None]
    if wanted:
        for version in versions:
            if seconds_of(version.stamp) >= min(wanted):
                yield version.stamp, "newer than a capture that failed"


def _pinned(world: World, image: str, versions: tuple[ImageVersion, ...]) -> Iterator[tuple[str, str]]:
    """Versions that specs name."""
    for name, vm in sorted(world.desired.vms.items()):
        begun = [made.source.partition("@") for made in world.ledger.restoring.get(name, ())]
        for version in versions:
            if (image, "@", instant_of(version.stamp)) in begun:
                yield version.stamp, f"VirtualMachine/{name} is being restored from it"
        restore = vm.spec.restore
        if restore is not None and restore.image == image and versions:
            wanted = [found.stamp for found in versions if restore.version in (LATEST, instant_of(found.stamp))]
            yield from ((stamp, f"VirtualMachine/{name} is to be restored from it") for stamp in wanted[-1:])
        for disk in vm.spec.disks:
            text = disk.image or ""
            if text.startswith(f"{image}@"):
                stamp = parse_version_name(text).stamp or (versions[-1].stamp if versions else None)
                if stamp is not None:
                    yield stamp, f"named by VirtualMachine/{name}"


def _referred_to(world: World, image: str) -> Iterator[tuple[str, str]]:
    """Versions whose disks a domain has, or another volume rests on; by name, as a path may have two spellings."""
    of = partial(version_volume_stamp, world.fleet)
    on_record = {(version.image, version.stamp) for version in world.ledger.versions.get(image, ())}
    on_record |= {(removal.image, removal.stamp) for removal in world.ledger.removals}
    for host in world.inventory.hosts.values():
        for domain in host.domains.values():
            for config in (domain.config, domain.live):
                for disk in config.disks if config is not None else ():
                    if (found := of(disk.path.rpartition("/")[2])) is not None and found[0] == image:
                        yield found[1], f"in use by domain {domain.name} on {host.name}"
        for pool in host.pools.values():
            for volume in (pool.volumes or {}).values():
                if volume.backing_path is None:
                    continue
                found = of(volume.backing_path.rpartition("/")[2])
                # Increments on record are followed by what that says: a child that may go keeps nothing.
                if found is not None and found[0] == image and of(volume.name) not in on_record:
                    yield found[1], f"base of volume {volume.name}"

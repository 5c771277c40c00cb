"""Whether a version may hold only the difference to the one before, and if not, why not."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.capture_steps import CaptureImage
from reconciler.model.image import Image
from reconciler.model.version import ImageVersion, instant_of
from reconciler.planner.ownership import Copy
from reconciler.planner.version_uses import damaged
from reconciler.planner.world import World


def resting(world: World, image: Image, copy: Copy, step: CaptureImage) -> tuple[CaptureImage, str]:
    """The step with what it rests on and goes on from, if anything, and in words which of both and why.

    Whether QEMU has kept track of what changed since then is seen as the copy begins: where it has not, that version
    is one to go on from no more, and the next plan makes a full one.
    """
    if image.spec.full_every == 1:
        return step, ""
    tracked = copy.domain.state == "running" and not step.is_staged and all(d.format == "qcow2" for d in step.disks)
    step = replace(step, checkpoint=f"{step.image}.{step.stamp}" if tracked else "")
    versions = world.ledger.versions.get(image.name, ())
    if not versions:
        return step, ""
    last = max(versions, key=lambda version: version.taken_at)
    why = _why_full(world, last, versions, copy, step, image.spec.full_every)
    if why:
        return step, f", in full: {why}"
    volumes = {disk.name: disk.volume for disk in last.disks}
    disks = tuple(replace(disk, backing=volumes[disk.name]) for disk in step.disks)
    resting = replace(step, parent=last.stamp, incremental=last.checkpoint, disks=disks)
    return resting, f", what changed since {instant_of(last.stamp)}"


def _why_full(
    world: World, last: ImageVersion, versions: tuple[ImageVersion, ...], copy: Copy, step: CaptureImage, every: int
) -> str:
    why = _why_not(world, last, copy, step)
    if why:
        return why
    chain = _chain(last, versions)
    if len(chain) >= every:
        return f"fullEvery is {every}"
    broken = damaged(world, versions).get(last.stamp) or _misread(world, chain)
    return f"{instant_of(last.stamp)} is not whole, as {broken}" if broken else ""


def _why_not(world: World, last: ImageVersion, copy: Copy, step: CaptureImage) -> str:
    placement, since = world.ledger.placements.get(last.vm), instant_of(last.stamp)
    restored = world.ledger.restores.get(last.vm)
    sizes = {disk.name: disk.capacity for disk in step.disks}
    reasons = (
        (step.is_off, "it is off"),
        (step.is_staged, "it is put in its place after it is copied"),
        (not step.checkpoint, "changes of raw disks are not kept track of"),
        (not last.checkpoint, f"nothing was kept track of since {since}"),
        (last.vm_uuid != copy.domain.uuid, "it is another VM of that name"),
        ((last.pool, last.host) != (step.pool, None if step.shared else step.pool_host), f"{since} is elsewhere"),
        (placement is None or placement.since > last.taken_at, f"it was moved since {since}"),
        (restored is not None and restored.at > last.taken_at, f"it was restored since {since}"),
        ({disk.name for disk in last.disks} != sizes.keys(), "it has other disks"),
        (any(disk.virtual_size > sizes.get(disk.name, 0) for disk in last.disks), "a disk is smaller than it was"),
    )
    return next((why for applies, why in reasons if applies), "")


def _chain(last: ImageVersion, versions: tuple[ImageVersion, ...]) -> tuple[ImageVersion, ...]:
    by_stamp = {version.stamp: version for version in versions}
    chain = [last]
    while chain[-1].parent in by_stamp and len(chain) <= len(versions):
        chain.append(by_stamp[str(chain[-1].parent)])
    return tuple(chain)


def _misread(world: World, chain: tuple[ImageVersion, ...]) -> str:
    """What libvirt reads of the files of a chain that was not recorded of them; empty where all is as it was."""
    for version in chain:
        host = version.host or world.shared_pools.get(version.pool, "")
        pool = world.observed_pool(version.pool, host)
        if pool is None or pool.volumes is None:
            return f"pool {version.pool} could not be read"
        for disk in version.disks:
            found = pool.volumes.get(disk.volume)
            rests_on = (found.backing_path or "").rpartition("/")[2] if found is not None else None
            if rests_on != (disk.parent_volume or ""):
                return f"{disk.volume} rests on {rests_on or 'nothing'} now"
    return ""

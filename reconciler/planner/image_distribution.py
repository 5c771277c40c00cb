"""Images to where disks are made from them: fetched once, uploaded once per pool, only when needed."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import identity
from reconciler.model.inventory import ObservedPool
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import FetchImage, UploadImage
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.world import World


@dataclass(frozen=True, slots=True)
class Base:
    """The base volume that a disk can start from, and the actions that must come first."""

    volume: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoBase:
    """Why there is no base to start from."""

    reason: str
    hint: str


def is_complete(pool: ObservedPool | None, volume: str) -> bool:
    """Whether a base volume is there and marked complete."""
    return (
        pool is not None
        and pool.volumes is not None
        and volume in pool.volumes
        and identity.base_marker(volume) in pool.volumes
    )


def ensure_base(
    world: World, facilities: Facilities, draft: Draft, image_name: str, pool: str, host: str
) -> Base | NoBase:
    """The base of `image_name` in `pool` for a VM on `host`, with fetch and upload planned where it is not there."""
    image = world.desired.images.get(image_name)
    if image is None:
        return NoBase(f"image {image_name} is not in the specs", f"add an Image named {image_name}")
    facts = world.inventory.images.get(image_name)
    digest = image.spec.checksum or (facts.digest if facts else None)
    if digest is None or facts is None or (facts.error and not facts.cached):
        why = facts.error if facts and facts.error else "it has not been inspected"
        return NoBase(f"image {image_name}: {why}", f"reconciler why Image/{image_name}")
    storage = world.storage_host(pool, host)
    volume = identity.base_volume(world.fleet, digest, image.spec.format)
    if is_complete(world.observed_pool(pool, host), volume):
        return Base(volume, ())
    target = ObjectRef("Image", image_name)
    after = []
    if not facts.cached:
        source = image.spec.source.url or image.spec.source.path
        after.append(
            draft.act(
                FetchImage(image),
                target=target,
                host=None,
                sign="create",
                why="missing",
                detail=f"fetch and verify {source}",
            )
        )
    pool_ready = facilities.pool_actions.get((pool, storage))
    if pool_ready:
        after.append(pool_ready)
    size = f", {approximate_size(facts.virtual_size)}" if facts.virtual_size else ""
    upload = draft.act(
        UploadImage(
            image=image_name,
            pool=pool,
            volume=volume,
            marker=identity.base_marker(volume),
            format=image.spec.format,
        ),
        target=target,
        host=storage,
        sign="create",
        why="missing",
        detail=f"upload to pool {pool}{size}",
        after=after,
        part=pool,
    )
    return Base(volume, (upload,))

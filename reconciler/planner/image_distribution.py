"""Images to where disks are made from them: fetched once, uploaded once per pool, only when needed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model import identity
from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts, ObservedPool, ObservedVolume
from reconciler.model.next_command import NextCommand
from reconciler.model.quantities import approximate_size
from reconciler.model.resource import ObjectRef
from reconciler.model.steps import FetchImage, UploadImage
from reconciler.planner.draft import Draft
from reconciler.planner.facilities import Facilities
from reconciler.planner.world import World


class Base(Struct, frozen=True):
    """The base volume that a disk can start from, and the actions that must come first."""

    volume: str
    format: Literal["qcow2", "raw"]
    virtual_size: int | None
    """Bytes that a guest sees; None while that is not known."""
    after: tuple[str, ...]


class NoBase(Struct, frozen=True):
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
    target = ObjectRef("Image", image_name)
    facts = world.inventory.images.get(image_name)
    digest = image_digest(world, image_name)
    storage = world.storage_host(pool, host)
    if digest is not None:
        volume = identity.base_volume(world.fleet, digest, image.spec.format)
        observed = world.observed_pool(pool, host)
        if observed is not None and observed.volumes is not None and is_complete(observed, volume):
            return Base(volume, image.spec.format, _virtual_size(facts, observed.volumes[volume]), ())
    if digest is None or facts is None or (facts.error and not facts.cached):
        why = facts.error if facts and facts.error else "it has not been inspected"
        return NoBase(f"image {image_name}: {why.removeprefix(f'{target}: ')}", NextCommand("why", str(target)))
    if world.is_paused(target):
        return NoBase(f"image {image_name} is held and not in pool {pool} yet", world.how_to_resume(target))
    if world.desired.pools[pool].spec.type == "logical" and image.spec.format != "raw":
        return NoBase(
            f"image {image_name} is {image.spec.format}, but pool {pool} is logical and holds raw volumes only",
            "use an image of format: raw, or a pool of files",
        )
    known = facilities.uploads.get((storage, pool, volume))
    if known not in draft.actions:
        known = _upload(world, facilities, draft, image, facts, pool, storage, volume)
        facilities.uploads[storage, pool, volume] = known
    return Base(volume, image.spec.format, facts.virtual_size, (known,))


def image_digest(world: World, image_name: str) -> str | None:
    """What the image's content is, as far as it is known."""
    image, facts = world.desired.images.get(image_name), world.inventory.images.get(image_name)
    if image is None:
        return None
    return image.spec.checksum or (facts.digest if facts else None)


def _virtual_size(facts: ImageFacts | None, base: ObservedVolume) -> int | None:
    return facts.virtual_size if facts and facts.virtual_size else base.capacity or None


def _upload(
    world: World,
    facilities: Facilities,
    draft: Draft,
    image: Image,
    facts: ImageFacts,
    pool: str,
    storage: str,
    volume: str,
) -> str:
    target = ObjectRef("Image", image.name)
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
    there = world.observed_pool(pool, storage)
    partial = there is not None and there.volumes is not None and volume in there.volumes
    size = f", {approximate_size(facts.virtual_size)}" if facts.virtual_size else ""
    return draft.act(
        UploadImage(
            image=image.name,
            pool=pool,
            volume=volume,
            marker=identity.base_marker(volume),
            format=image.spec.format,
        ),
        target=target,
        host=storage,
        sign="create",
        why="incomplete" if partial else "missing",
        detail=f"upload to pool {pool}{size}",
        after=after,
        part=pool,
    )

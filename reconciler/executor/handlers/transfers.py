"""What takes long: images into the cache, bases and seeds into pools."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO, Final

from reconciler.errors import ChecksumMismatch, ObjectConflict, PreconditionFailed, TransientHostError
from reconciler.executor.context import ActionContext, HandedBack
from reconciler.executor.preconditions import POOL_PATIENCE, check_unused, find_volume
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.identity import base_volume
from reconciler.model.image import Image
from reconciler.model.inventory import ImageFacts, ObservedVolume
from reconciler.model.steps import FetchImage, UploadImage, WriteSeed

_BASE_MODE: Final = 0o644


def fetch_image(step: FetchImage, context: ActionContext) -> None:
    """Killed at any byte: the cache takes a file in only when it is whole and verified."""
    context.images.fetch(step.image, context.on_progress, context.stop)


def upload_image(step: UploadImage, context: ActionContext, host: Hypervisor) -> None:
    """Killed at any byte: the base has no marker, so nothing uses it and the next plan uploads it anew.

    The marker is the last thing written and, before a new upload, the first thing removed.
    """
    image, facts = _cached(step, context)
    base, marker = (
        find_volume(context, host, step.pool, step.volume),
        find_volume(context, host, step.pool, step.marker),
    )
    if base is None or marker is None:
        _clear(step, context, host, base, marker)
        context.ledger.begin_volume(step.pool, step.volume, host.name)
        stream, length = context.images.open(image)
        with stream:
            _send(context, host, (step.pool, step.volume), stream, length, _BASE_MODE)
        _verify_base(step, context, host, facts)
        if context.images.facts(image).digest != facts.digest:
            raise ChecksumMismatch(
                f"{context.action.target}: the file changed while it was uploaded", hint="plan again"
            )
        _mark(step, context, host)
    context.ledger.finish_volume(step.pool, step.volume, context.intent_host(step.pool))


def write_seed(step: WriteSeed, context: ActionContext, host: Hypervisor) -> None:
    """Killed at any byte: the intent is in the ledger, no domain refers to the seed, and it is written anew."""
    content = context.images.seed_iso(step.content)
    existing = find_volume(context, host, step.pool, step.volume)
    if existing is not None:
        check_unused(context, host, step.pool, existing)
        _delete(context, host, step.pool, step.volume)
    context.ledger.begin_volume(step.pool, step.volume, host.name)
    _send(context, host, (step.pool, step.volume), io.BytesIO(content), len(content), 0o600)
    context.ledger.finish_volume(step.pool, step.volume, context.intent_host(step.pool))


def _cached(step: UploadImage, context: ActionContext) -> tuple[Image, ImageFacts]:
    image = context.desired.images.get(step.image)
    if image is None:
        raise PreconditionFailed(f"Image/{step.image} is not in the specs any more", hint="plan again")
    facts = context.images.facts(image)
    if not facts.cached or facts.digest is None:
        raise context.refuse(f"the image is not on the controller: {facts.error or 'not fetched'}")
    if base_volume(context.fleet_name, facts.digest, step.format) != step.volume:
        raise context.refuse("the image's content is not what was planned")
    return image, facts


def _clear(
    step: UploadImage,
    context: ActionContext,
    host: Hypervisor,
    base: ObservedVolume | None,
    marker: ObservedVolume | None,
) -> None:
    if base is not None:
        try:
            check_unused(context, host, step.pool, base)
        except PreconditionFailed as used:
            # Somebody removed the marker of a base that disks stand on: replacing it could destroy them.
            raise ObjectConflict(
                f"{step.volume} has no marker and is in use: {used.message}",
                host=host.name,
                target=str(context.action.target),
                hint=f"if it is whole, mark it again: virsh vol-create-as {step.pool} {step.marker} 0",
            ) from used
    if marker is not None:
        _delete(context, host, step.pool, step.marker)
    if base is not None:
        _delete(context, host, step.pool, step.volume)


def _send(
    context: ActionContext, host: Hypervisor, where: tuple[str, str], content: BinaryIO, length: int, mode: int
) -> None:
    """Create a volume of exactly `length` bytes and fill it.

    It is created as raw: libvirt then makes a file of the content's own length, and finds the format by its next look.
    """
    pool, volume = where
    context.patiently(lambda: host.create_volume(pool, volume, format="raw", capacity=length, mode=mode))
    host.upload_volume(pool, volume, content, length, _reporting(context, length))


def _reporting(context: ActionContext, length: int) -> Callable[[int], None]:
    done = 0

    def report(more: int) -> None:
        nonlocal done
        done += more
        context.on_progress(done, length)
        if context.stop.is_set():
            raise HandedBack

    return report


def _verify_base(step: UploadImage, context: ActionContext, host: Hypervisor, facts: ImageFacts) -> None:
    pool = context.patiently(lambda: host.pool(step.pool, refresh=True), POOL_PATIENCE)
    base = (pool.volumes or {}).get(step.volume)
    if base is None or (facts.virtual_size is not None and base.capacity < facts.virtual_size):
        raise TransientHostError(
            f"base {step.volume} was uploaded and is not as the image is: {base}",
            host=host.name,
            target=str(context.action.target),
        )


def _mark(step: UploadImage, context: ActionContext, host: Hypervisor) -> None:
    context.settle(
        lambda: host.create_volume(step.pool, step.marker, format="raw", capacity=0, mode=_BASE_MODE),
        lambda: find_volume(context, host, step.pool, step.marker) is not None,
        "the base's marker was created and is not there",
    )


def _delete(context: ActionContext, host: Hypervisor, pool: str, volume: str) -> None:
    context.settle(
        lambda: host.delete_volume(pool, volume),
        lambda: find_volume(context, host, pool, volume) is None,
        f"volume {volume} is still there after it was deleted",
    )

"""Disks of VMs: made, grown, deleted."""

from __future__ import annotations

from reconciler.errors import HostTimeout, TransientHostError
from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import (
    check_not_running_on,
    check_still_expired,
    check_still_removed,
    check_unused,
    find_volume,
)
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.identity import base_marker
from reconciler.model.inventory import ObservedVolume
from reconciler.model.steps import CreateVolume, DeleteVolume, GrowVolume


def create_volume(step: CreateVolume, context: ActionContext, host: Hypervisor) -> None:
    """Killed, or the reply lost, after the intent: the volume may be partial, and the next plan replaces it.

    A volume can be seen while a full copy is still being written, so a lost reply never counts as done.
    """
    base = _complete_base(step, context, host)
    existing = find_volume(context, host, step.pool, step.volume)
    if existing is not None:
        drop_partial(step.pool, step.volume, context, host, existing, may=step.replace_partial)
    context.ledger.begin_volume(step.pool, step.volume, host.name)
    context.patiently(lambda: _create(step, host, base))
    made = find_volume(context, host, step.pool, step.volume)
    if made is None or made.capacity < step.capacity:
        raise TransientHostError(
            f"volume {step.volume} was created and is not as it was asked for: {made}",
            host=host.name,
            target=str(context.action.target),
        )
    context.ledger.finish_volume(step.pool, step.volume, context.intent_host(step.pool))


def grow_volume(step: GrowVolume, context: ActionContext, host: Hypervisor) -> None:
    """Growing to the same capacity twice changes nothing."""
    volume = find_volume(context, host, step.pool, step.volume)
    if volume is None:
        raise context.refuse(f"volume {step.volume} is gone")
    if volume.capacity > step.capacity:
        raise context.refuse(f"volume {step.volume} is larger already, and disks never shrink")
    check_not_running_on(context, host.read(), volume)

    def achieved() -> bool:
        found = find_volume(context, host, step.pool, step.volume)
        return found is not None and found.capacity >= step.capacity

    def grow() -> None:
        host.grow_volume(step.pool, step.volume, step.capacity, format=step.format)

    context.settle(grow, achieved, "the volume did not grow")


def delete_volume(step: DeleteVolume, context: ActionContext, host: Hypervisor) -> None:
    """Killed before or after: the volume is there or not, and the next plan sees which."""
    check_still_removed(context)
    check_still_expired(context, step)
    volume = find_volume(context, host, step.pool, step.volume)
    if volume is not None:
        check_unused(context, host, step.pool, volume)
        check_still_removed(context)  # asking all hosts of the pool takes its time
        check_still_expired(context, step)
        context.settle(
            lambda: host.delete_volume(step.pool, step.volume),
            lambda: find_volume(context, host, step.pool, step.volume) is None,
            "the volume is still there",
        )
    context.ledger.finish_volume(step.pool, step.volume, context.intent_host(step.pool))


def _complete_base(step: CreateVolume, context: ActionContext, host: Hypervisor) -> ObservedVolume | None:
    if step.base is None:
        return None
    base = find_volume(context, host, step.pool, step.base)
    if base is None or find_volume(context, host, step.pool, base_marker(step.base)) is None:
        raise context.refuse(f"base {step.base} is not complete in pool {step.pool}")
    if base.format != step.base_format:
        raise context.refuse(f"base {step.base} was {step.base_format} and passes for {base.format}")
    return base


def drop_partial(
    pool: str, volume: str, context: ActionContext, host: Hypervisor, existing: ObservedVolume, *, may: bool
) -> None:
    """Delete what was begun under that name and never finished, where the plan says so (`may`).

    Raises PreconditionFailed for anything else that is there.
    """
    shared = (spec := context.desired.pools.get(pool)) is not None and spec.spec.shared
    if not (may and context.ledger.has_volume_intent(pool, volume, None if shared else host.name)):
        raise context.refuse(f"volume {volume} is there already")
    check_unused(context, host, pool, existing)
    try:
        context.patiently(lambda: host.delete_volume(pool, volume))
    except HostTimeout:
        if find_volume(context, host, pool, volume) is not None:
            raise


def _create(step: CreateVolume, host: Hypervisor, base: ObservedVolume | None) -> ObservedVolume:
    if base is not None and step.clone == "full":
        return host.clone_volume(
            step.pool,
            step.volume,
            format=step.format,
            capacity=step.capacity,
            source=base.name,
            source_format=base.format,
        )
    return host.create_volume(step.pool, step.volume, format=step.format, capacity=step.capacity, backing=base)

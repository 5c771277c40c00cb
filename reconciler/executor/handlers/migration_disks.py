"""Local disks at the target of a migration: made and looked at before anything is sent, taken away if it stays."""

from __future__ import annotations

from contextlib import suppress

from reconciler.errors import HostError, PreconditionFailed, ReconcilerError, TransientHostError
from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import check_unused, find_volume
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.identity import base_marker
from reconciler.model.inventory import ObservedVolume
from reconciler.model.migration import DiskCopy
from reconciler.model.steps import MigrateDomain


def check_disks(step: MigrateDomain, context: ActionContext) -> None:
    """Raise PreconditionFailed if a disk is not as planned at the source, or has no room for its name at the target."""
    source, target = context.host_named(step.source), context.host_named(step.target)
    for disk in step.disks:
        original = find_volume(context, source, disk.pool, disk.volume)
        if original is None or original.capacity != disk.capacity:
            raise PreconditionFailed(
                f"volume {disk.volume} on {step.source} is not as it was when the plan was made", hint="plan again"
            )
        there = find_volume(context, target, disk.pool, disk.volume)
        if there is not None:
            _check_may_replace(disk, there, context, target)


def _check_may_replace(disk: DiskCopy, there: ObservedVolume, context: ActionContext, target: Hypervisor) -> None:
    if not context.ledger.has_volume_intent(disk.pool, disk.volume, target.name):
        raise PreconditionFailed(
            f"volume {disk.volume} is on {target.name} already, and may be all that is left of somebody's data",
            hint=f"look at it, then: virsh vol-delete {disk.volume} {disk.pool}, on {target.name}",
        )
    check_unused(context, target, disk.pool, there)


def make_disks(step: MigrateDomain, context: ActionContext) -> None:
    """Create what the disks are copied into; each counts as partial until the VM has arrived."""
    target = context.host_named(step.target)
    for disk in step.disks:
        base = _complete_base(disk, context, target)
        if find_volume(context, target, disk.pool, disk.volume) is not None:
            _delete(disk, context, target)
        context.ledger.begin_volume(disk.pool, disk.volume, step.target)
        _create(disk, context, target, base)
        made = find_volume(context, target, disk.pool, disk.volume)
        wanted = base.path if base else None
        if made is None or (made.path, made.capacity, made.backing_path) != (disk.target_path, disk.capacity, wanted):
            raise TransientHostError(
                f"volume {disk.volume} was created and is not as it was asked for: {made}",
                host=step.target,
                target=str(context.action.target),
            )


def _create(disk: DiskCopy, context: ActionContext, target: Hypervisor, base: ObservedVolume | None) -> None:
    def create() -> ObservedVolume:
        return target.create_volume(disk.pool, disk.volume, format=disk.format, capacity=disk.capacity, backing=base)

    context.patiently(create)


def drop_disks(step: MigrateDomain, context: ActionContext) -> None:
    """Take away what was made for nothing; what can't be now is on record as unfinished, and goes later."""
    with suppress(ReconcilerError):
        target = context.host_named(step.target)
        for disk in step.disks:
            made = find_volume(context, target, disk.pool, disk.volume)
            if context.ledger.has_volume_intent(disk.pool, disk.volume, step.target):
                if made is not None:
                    check_unused(context, target, disk.pool, made)  # a call that was taken for lost may come late
                _delete(disk, context, target)
                context.ledger.finish_volume(disk.pool, disk.volume, step.target)


def _delete(disk: DiskCopy, context: ActionContext, target: Hypervisor) -> None:
    with suppress(HostError):
        context.patiently(lambda: target.delete_volume(disk.pool, disk.volume))
    if find_volume(context, target, disk.pool, disk.volume) is not None:
        raise TransientHostError(
            f"volume {disk.volume} is still there after it was deleted",
            host=target.name,
            target=str(context.action.target),
        )


def _complete_base(disk: DiskCopy, context: ActionContext, target: Hypervisor) -> ObservedVolume | None:
    if disk.base is None:
        return None
    base = find_volume(context, target, disk.pool, disk.base)
    if base is None or find_volume(context, target, disk.pool, base_marker(disk.base)) is None:
        raise PreconditionFailed(f"base {disk.base} is not complete on {target.name}", hint="plan again")
    return base

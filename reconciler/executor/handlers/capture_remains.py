"""What is left of a capture that came to nothing: taken away, and only then off the record."""

from __future__ import annotations

from contextlib import suppress

from reconciler.errors import HostError, PreconditionFailed
from reconciler.executor.context import ActionContext
from reconciler.executor.handlers.capture_volumes import drop
from reconciler.model.capture_steps import CaptureImage


class Cancelled(Exception):
    """People want it no more."""


def discard(step: CaptureImage, context: ActionContext) -> None:
    """Have nothing left of it; raises HostError where that can't be done now, and it stays on record.

    Of a host that is proven dead, or not of the fleet any more, what is left is for the collection once it is back.
    """
    if not _is_gone(step.host, context):
        host = context.host_named(step.host)
        job = host.backup_job(step.uuid)
        if job is not None and is_ours(job.targets, step):
            host.abort_backup(step.uuid)
        for disk in step.disks:
            drop(context, host, step.copy_pool, disk.copy)
        if step.checkpoint:
            # Nothing rests on it: a later version copies everything, or goes on from an earlier one.
            with suppress(HostError):
                host.delete_checkpoint(step.uuid, step.checkpoint)
    if not _is_gone(step.pool_host, context):
        pool_host = context.host_named(step.pool_host)
        # The manifest first: without it there is no version, whatever else is there.
        drop(context, pool_host, step.pool, step.manifest)
        for disk in step.disks:
            drop(context, pool_host, step.pool, disk.target)
    context.ledger.end_capture(step.image, None)


def is_ours(targets: tuple[str, ...], step: CaptureImage) -> bool:
    """Whether a job that writes there is that of this very capture."""
    return set(targets) == set(step.paths)


def _is_gone(name: str, context: ActionContext) -> bool:
    if context.is_dead(name):
        return True
    try:
        context.host_named(name)
    except PreconditionFailed:
        return True
    return False

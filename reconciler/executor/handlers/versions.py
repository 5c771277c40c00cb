"""Versions of captured images: deleted so that, killed at any instant, none is left that looks whole and is not."""

from __future__ import annotations

from reconciler.executor.context import ActionContext
from reconciler.executor.preconditions import check_unused, find_volume
from reconciler.hypervisor.interface import Hypervisor
from reconciler.model.steps import DeleteVersion


def delete_version(step: DeleteVersion, context: ActionContext, host: Hypervisor) -> None:
    """Killed before the manifest is gone: the version is there. After: what is left goes with the next plan.

    Whether anything refers to its disks is looked at while all of it is still there.
    """
    for name in step.volumes:
        volume = find_volume(context, host, step.pool, name)
        if volume is not None:
            check_unused(context, host, step.pool, volume)
    context.ledger.begin_removal(step.image, step.stamp, context.clock.now())
    for name in (step.manifest, *step.volumes):
        _delete(step.pool, name, context, host)
    context.ledger.end_removal(step.image, step.stamp)


def _delete(pool: str, name: str, context: ActionContext, host: Hypervisor) -> None:
    if find_volume(context, host, pool, name) is None:
        return
    context.settle(
        lambda: host.delete_volume(pool, name),
        lambda: find_volume(context, host, pool, name) is None,
        f"volume {name} is still there",
    )

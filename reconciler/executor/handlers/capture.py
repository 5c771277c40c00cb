"""A version of an image: begun once, followed to its end, and on record from before its first volume is made."""

from __future__ import annotations

from contextlib import suppress

from msgspec.structs import replace

from reconciler.errors import CheckpointLost, HostError, PermanentHostError, ReconcilerError, TransientHostError
from reconciler.executor.context import ActionContext
from reconciler.executor.handlers.capture_copy import Copying, Lost
from reconciler.executor.handlers.capture_remains import Cancelled, discard
from reconciler.executor.handlers.capture_seal import Sealing
from reconciler.executor.handlers.capture_volumes import Reader, drop
from reconciler.executor.preconditions import find_volume, own_domain
from reconciler.model.capture_steps import CaptureImage, ReadVersions
from reconciler.model.ledger import Capture
from reconciler.model.quantities import approximate_size
from reconciler.model.version import instant_of, read_manifest


def capture_image(step: CaptureImage, context: ActionContext) -> str:
    """Killed at any point: it is on record; what is under way goes on, and is found again by the next plan.

    Returns what was made, for people. What failed or was cancelled leaves nothing: its error says so.
    """
    capture = _on_record(step, context)
    if capture is not None:
        return _followed(step, capture, context)
    _check_may_begin(step, context)
    capture = Capture(step.image, context.clock.now(), step, context.action.why)
    context.ledger.begin_capture(capture)
    copying = Copying(step, context)
    try:
        copying.carry_on(capture, is_new=True)
    except Lost as lost:
        discard(step, context)
        raise TransientHostError(f"{lost}; nothing is left of it", host=step.host, target=_target(context)) from None
    except Cancelled:
        raise _cancelled(step, context) from None
    except CheckpointLost as lost:
        context.ledger.forget_checkpoint(step.image, step.parent)
        discard(step, context)
        raise TransientHostError(
            f"{lost.message}: the next one is a full one", host=step.host, target=_target(context)
        ) from None
    except HostError:
        if not copying.may_go_on:
            # Where that can't be done now either, it stays on record, and a later plan sees to it.
            with suppress(HostError):
                discard(step, context)
        raise
    return _sealed(step, context)


def _followed(step: CaptureImage, capture: Capture, context: ActionContext) -> str:
    """What was begun by another life of the controller, or could not be asked about for a while."""
    if step.give_up:
        discard(capture.step, context)
        return f"given up, as {step.give_up}; nothing is left of it"
    try:
        if capture.phase != "sealing":
            Copying(capture.step, context).carry_on(capture, is_new=False)
    except Lost as lost:
        discard(capture.step, context)
        return f"{lost}: what was copied is discarded, and it is made anew"
    except Cancelled:
        raise _cancelled(capture.step, context) from None
    return _sealed(capture.step, context)


def _sealed(step: CaptureImage, context: ActionContext) -> str:
    capture = context.ledger.capture(step.image)
    if capture is None:
        raise context.refuse("it is not on record any more")
    try:
        version = Sealing(capture, context).finish()
    except Cancelled:
        raise _cancelled(step, context) from None
    except TransientHostError:
        raise  # all is copied: it is put in place by a later plan
    except ReconcilerError:
        discard(step, context)
        raise
    return f"{version.name}, {version.consistency}, {approximate_size(version.size)}"


def _cancelled(step: CaptureImage, context: ActionContext) -> PermanentHostError:
    discard(step, context)
    return PermanentHostError(
        "cancelled by people; nothing is left of it",
        host=step.host,
        target=_target(context),
        hint=f"to make one after all: reconciler image capture {step.image}",
    )


def _target(context: ActionContext) -> str:
    return str(context.action.target)


def _on_record(step: CaptureImage, context: ActionContext) -> Capture | None:
    """The capture to follow; None where one is to begin."""
    capture = context.ledger.capture(step.image)
    if step.begun:
        if capture is None or replace(capture.step, begun=True, give_up=step.give_up) != step:
            raise context.refuse("that capture is over")
        return capture
    if capture is not None:
        raise context.refuse(f"a version of {instant_of(capture.stamp)} is being made already")
    return None


def _check_may_begin(step: CaptureImage, context: ActionContext) -> None:
    host = context.host_named(step.host)
    domain = own_domain(context, host, step.domain, step.uuid)
    if domain.state != ("shutoff" if step.is_off else "running"):
        raise context.refuse(f"{step.domain} is {domain.state}")
    if host.backup_job(step.uuid) is not None:
        raise context.refuse(f"somebody else is copying the disks of {step.domain}", hint="it is tried again")
    for disk in step.disks:
        places = {(step.host, step.copy_pool, disk.copy), (step.pool_host, step.pool, disk.target)}
        for name, pool, volume in sorted(places):
            if find_volume(context, context.host_named(name), pool, volume) is not None:
                raise context.refuse(f"volume {volume} is in pool {pool} of {name} already")


def read_versions(step: ReadVersions, context: ActionContext) -> str:
    """Write down what the manifests tell; one that tells nothing is named, once the others are written down.

    One that was cut off as it was written is deleted: there is no such version, and its volumes are what was left.
    """
    host = context.host()
    found, bad = [], []
    for manifest in step.manifests:
        reader = Reader(context, host, step.pool, manifest)
        content = reader.content()
        version = read_manifest(content)
        if not content.endswith(b"}"):
            drop(context, host, step.pool, manifest)
        elif version is None or version.image != step.image:
            bad.append(manifest)
        else:
            found.append(version)
    context.ledger.note_versions(found)
    if bad:
        raise PermanentHostError(
            f"{', '.join(bad)} in pool {step.pool}: that is no manifest of a version",
            host=host.name,
            target=str(context.action.target),
            hint=f"look at it, and delete it: virsh vol-delete --pool {step.pool} {bad[0]}",
        )
    return f"{len(found)} version{'s' if len(found) != 1 else ''} of {step.image}"

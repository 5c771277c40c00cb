"""What a plan may do to versions of images: never to what anything rests on or refers to, nor to the last one."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.identity import version_volume_stamp
from reconciler.model.plan import Action
from reconciler.model.steps import DeleteVersion
from reconciler.planner.plan_subject import Subject


def only_what_nothing_needs_of_versions_goes(subject: Subject) -> Iterator[str]:
    """A version goes after all that rest on it, with its own files alone, and while no domain refers to those."""
    going = [(action, action.step) for action in subject.plan.actions if isinstance(action.step, DeleteVersion)]
    if not going:
        return
    used = {disk.path.rpartition("/")[2] for domain in subject.domains.values() for disk in domain.config.disks}
    used |= {
        disk.path.rpartition("/")[2]
        for domain in subject.domains.values()
        for disk in (domain.live.disks if domain.live is not None else ())
    }
    for action, step in going:
        for volume in (step.manifest, *step.volumes):
            if version_volume_stamp(subject.fleet, volume) != (step.image, step.stamp):
                yield f"{action.id} would delete {volume}, which is no part of that version"
            if volume in used:
                yield f"{action.id} would delete {volume}, which a domain has"
        yield from _of_chain(subject, action, step)


def _of_chain(subject: Subject, action: Action, step: DeleteVersion) -> Iterator[str]:
    before = subject.comes_before(action)
    gone = {
        earlier.step.stamp
        for earlier in (subject.by_id[name] for name in before)
        if isinstance(earlier.step, DeleteVersion) and earlier.step.image == step.image
    }
    for version in subject.ledger.versions.get(step.image, ()):
        if version.parent == step.stamp and version.stamp not in gone:
            yield f"{action.id} would delete what {version.name} rests on"
    capture = subject.ledger.captures.get(step.image)
    if capture is not None and capture.step.parent == step.stamp:
        yield f"{action.id} would delete what the version that is being made rests on"


def one_version_stays(subject: Subject) -> Iterator[str]:
    """Of an image that is in the specs the last version stays, and the newest goes by nobody's rule."""
    going: dict[str, set[str]] = {}
    for action in subject.plan.actions:
        if isinstance(action.step, DeleteVersion):
            going.setdefault(action.step.image, set()).add(action.step.stamp)
    for image, stamps in going.items():
        versions = subject.ledger.versions.get(image, ())
        if image in subject.desired.images and versions and {each.stamp for each in versions} <= stamps:
            yield f"every version of Image/{image} would be deleted"

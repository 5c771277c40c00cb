"""All checks over all objects of one load: what is usable, what is refused and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model.desired_state import SpecProblem
from reconciler.model.resource import ObjectRef
from reconciler.specfiles.annotation_checks import own_annotations
from reconciler.specfiles.catalog import Catalog
from reconciler.specfiles.cross_checks import (
    doubled_macs,
    doubled_names,
    doubled_origins,
    doubled_targets,
    doubled_uris,
    overlapping_networks,
    pools_of_versions,
    references,
    refused_images,
    selected_hosts,
    small_disks,
    unfit_pools,
)
from reconciler.specfiles.draft_checks import more_findings, subjects_of
from reconciler.specfiles.fencing_checks import doubled_devices, halves_of_power, named_guids, refused_parameters
from reconciler.specfiles.hidden_objects import what_may_be_there
from reconciler.specfiles.objects import SpecFile, SpecObject
from reconciler.specfiles.placement_checks import spreads, unplaceable
from reconciler.specfiles.places import Finding, dotted


class Checked(Struct):
    """The outcome; `unnamed` are problems of objects whose name could not be read."""

    usable: dict[ObjectRef, SpecObject] = field(default_factory=dict)
    refused: dict[ObjectRef, SpecProblem] = field(default_factory=dict)
    unnamed: list[SpecProblem] = field(default_factory=list)
    problems: list[SpecProblem] = field(default_factory=list)


def check(
    files: Collection[SpecFile],
    fleet: str,
    sizes: Mapping[str, int | Finding],
    remembered: Collection[ObjectRef],
    unread: Collection[SpecProblem] = (),
) -> Checked:
    """Check all objects of all files together; `remembered` are those whose last good form is known.

    `unread` are the files that could not be read: any object may stand there.
    """
    outcome = Checked()
    claims, nameless = _gather(files, outcome)
    known_sizes = {
        name: size
        for name, size in sizes.items()
        if isinstance(size, int) and ObjectRef("Image", name) not in outcome.refused
    }
    _refuse(outcome, doubled_names(claims.values()))
    facilities = Catalog(
        fleet=fleet,
        objects=dict(outcome.usable),
        claimed=frozenset(claims),
        image_sizes=known_sizes,
        remembered=frozenset(remembered),
        perhaps=what_may_be_there(files, blind=bool(unread)),
    )
    for found in (
        own_annotations,
        doubled_origins,
        doubled_uris,
        refused_parameters,
        halves_of_power,
        doubled_devices,
        named_guids,
        doubled_targets,
        overlapping_networks,
        selected_hosts,
    ):
        _refuse(outcome, found(facilities))
    _refuse(outcome, list(refused_images(outcome.usable, sizes)))
    # VMs are judged by what is left of the things that they need.
    others = replace(facilities, objects=dict(outcome.usable))
    for found in (doubled_macs, references, pools_of_versions, small_disks, unfit_pools, unplaceable):
        _refuse(outcome, found(others))
    subjects = subjects_of(claims, nameless)
    if subjects:
        _add(outcome, more_findings(subjects, facilities, others, sizes))
    else:
        _refuse(outcome, spreads(others))
    outcome.problems.sort()
    return outcome


def _gather(files: Iterable[SpecFile], outcome: Checked) -> tuple[dict[ObjectRef, list[SpecObject]], list[SpecObject]]:
    """All objects by the names that they claim, and those whose name could not be read."""
    claims: dict[ObjectRef, list[SpecObject]] = {}
    nameless: list[SpecObject] = []
    for file in files:
        if file.broken is not None:
            outcome.problems.append(file.broken)
        for item in file.objects:
            if item.problems:
                outcome.problems += item.problems
            if item.ref is None:
                nameless.append(item)
            else:
                claims.setdefault(item.ref, []).append(item)
    outcome.unnamed += (item.problems[0] for item in nameless)
    for ref, group in claims.items():
        invalid = next((item for item in group if item.resource is None), None)
        if invalid is not None:
            outcome.refused[ref] = invalid.problems[0]
        else:
            outcome.usable[ref] = group[0]
    return claims, nameless


def _refuse(outcome: Checked, found: Iterable[tuple[SpecObject, Finding]]) -> None:
    for item, finding in found:
        if item.ref is None:
            continue
        problem = item.text.problem(item.document, str(item.ref), finding)
        if finding.code != "S044":  # the cause is said once, where it stands
            outcome.problems.append(problem)
        if problem.severity == "error":
            outcome.refused.setdefault(item.ref, problem)
            outcome.usable.pop(item.ref, None)


def _add(outcome: Checked, found: Iterable[tuple[SpecObject, Finding]]) -> None:
    """Say what is new, and refuse nothing for it."""
    said = {(problem.where.file, problem.target, problem.code, problem.field) for problem in outcome.problems}
    for item, finding in found:
        target = item.problems[0].target if item.draft is not None else str(item.ref)
        key = (item.text.file, target, finding.code, dotted(finding.path))
        if finding.code != "S044" and key not in said:
            said.add(key)
            outcome.problems.append(item.text.problem(item.document, target, finding))

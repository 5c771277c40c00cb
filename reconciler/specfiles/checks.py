"""All checks over all objects of one load: what is usable, what is refused and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct, field

from reconciler.model.desired_state import SpecProblem
from reconciler.model.resource import ObjectRef
from reconciler.specfiles.catalog import Catalog
from reconciler.specfiles.cross_checks import (
    disks,
    doubled_macs,
    doubled_names,
    one_thing_twice,
    references,
    selected_hosts,
)
from reconciler.specfiles.objects import SpecFile, SpecObject
from reconciler.specfiles.placement_checks import spreads, unplaceable
from reconciler.specfiles.places import Finding


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
) -> Checked:
    """Check all objects of all files together; `remembered` are those whose last good form is known."""
    outcome = Checked()
    claims: dict[ObjectRef, list[SpecObject]] = {}
    for file in files:
        if file.broken is not None:
            outcome.problems.append(file.broken)
        for item in file.objects:
            if item.problems:
                outcome.problems += item.problems
            if item.ref is None:
                outcome.unnamed.append(item.problems[0])
            else:
                claims.setdefault(item.ref, []).append(item)
    for ref, group in claims.items():
        invalid = next((item for item in group if item.resource is None), None)
        if invalid is not None:
            outcome.refused[ref] = invalid.problems[0]
        else:
            outcome.usable[ref] = group[0]
    _refuse(outcome, doubled_names(claims.values()))
    known_sizes = {name: size for name, size in sizes.items() if isinstance(size, int)}
    catalog = Catalog(fleet, dict(outcome.usable), frozenset(claims), known_sizes, frozenset(remembered))
    _refuse(outcome, one_thing_twice(catalog))
    _refuse(outcome, selected_hosts(catalog))
    _refuse(outcome, _images(outcome, sizes))
    # VMs are judged by what is left of the things that they need.
    catalog = Catalog(fleet, dict(outcome.usable), frozenset(claims), known_sizes, frozenset(remembered))
    for found in (doubled_macs, references, disks, unplaceable, spreads):
        _refuse(outcome, found(catalog))
    outcome.problems.sort()
    return outcome


def _images(outcome: Checked, sizes: Mapping[str, int | Finding]) -> list[tuple[SpecObject, Finding]]:
    refs = {name: ObjectRef("Image", name) for name, size in sizes.items() if not isinstance(size, int)}
    return [
        (outcome.usable[ref], finding)
        for name, ref in refs.items()
        if ref in outcome.usable and isinstance(finding := sizes[name], Finding)
    ]


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

"""What stands where specs can't be used: the last good form of each object; and no removals before that is mended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from reconciler.model.desired_state import DesiredState, SourceRef, SpecProblem
from reconciler.model.resource import ObjectRef, Resource
from reconciler.specfiles.checks import Checked


class Standing(Struct, frozen=True):
    """Objects that stand after one load, new and old, and what is to be left alone."""

    objects: Mapping[ObjectRef, Resource]
    sources: Mapping[ObjectRef, SourceRef]
    unusable: Mapping[ObjectRef, SpecProblem]
    removal_hold: str


def objects_of(state: DesiredState) -> dict[ObjectRef, Resource]:
    """Every object of a desired state by its reference."""
    found: dict[ObjectRef, Resource] = {}
    found.update((ObjectRef("Host", name), item) for name, item in state.hosts.items())
    found.update((ObjectRef("StoragePool", name), item) for name, item in state.pools.items())
    found.update((ObjectRef("Network", name), item) for name, item in state.networks.items())
    found.update((ObjectRef("Image", name), item) for name, item in state.images.items())
    found.update((ObjectRef("VirtualMachine", name), item) for name, item in state.vms.items())
    found.update((ObjectRef("Approval", name), item) for name, item in state.approvals.items())
    return found


def stand_in(checked: Checked, unread: Iterable[SpecProblem], previous: DesiredState | None) -> Standing:
    """Complete what is usable by what was good before; `unread` are the files that said nothing."""
    before = objects_of(previous) if previous is not None else {}
    objects: dict[ObjectRef, Resource] = {
        ref: item.resource for ref, item in checked.usable.items() if item.resource is not None
    }
    sources = {ref: item.where for ref, item in checked.usable.items()}
    unusable = dict(checked.refused)
    silent = [*unread, *checked.unnamed]
    if previous is not None and silent:
        for ref in before.keys() - objects.keys() - unusable.keys():
            cause = _cause(previous.sources[ref].file, silent)
            if cause is not None:
                unusable[ref] = cause
    for ref in unusable:
        if ref in before and previous is not None:
            objects[ref] = before[ref]
            sources[ref] = previous.sources[ref]
    # Whatever was good before: who mistyped a name has lost another object by it, and a look without memory holds all.
    return Standing(objects, sources, unusable, _hold(list(dict.fromkeys([*silent, *unusable.values()]))))


def _cause(file: str, silent: Iterable[SpecProblem]) -> SpecProblem | None:
    """The problem that hides what `file` says, its own or that of a directory above it."""
    return next(
        (problem for problem in silent if file == problem.where.file or file.startswith(f"{problem.where.file}/")), None
    )


def _hold(reasons: list[SpecProblem]) -> str:
    """Why nothing may be removed: an object that seems to have gone may stand in what could not be read."""
    if not reasons:
        return ""
    first = min(reasons)
    name = f"{first.target} at {first.where}" if first.target else str(first.where)
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{name}{more} could not be used, so what seems to be gone from the specs may stand there"

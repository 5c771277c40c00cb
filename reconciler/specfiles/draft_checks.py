"""The checks across files for objects with mistakes: what the rest of them says wrong is told in the same run.

Each check is told of a draft only if it knows what the check relies on: what follows from a value that was left
out is no mistake of anybody's. Nothing is refused here, as what has errors is refused already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.resource import Kind, ObjectRef
from reconciler.specfiles.annotation_checks import own_annotations
from reconciler.specfiles.catalog import Catalog, Found
from reconciler.specfiles.cross_checks import (
    doubled_macs,
    doubled_targets,
    doubled_uris,
    overlapping_networks,
    references,
    refused_images,
    selected_hosts,
    small_disks,
    unfit_pools,
)
from reconciler.specfiles.drafts import EACH, Draft, as_written
from reconciler.specfiles.fencing_checks import doubled_devices, halves_of_power, named_guids, refused_parameters
from reconciler.specfiles.objects import SpecObject
from reconciler.specfiles.placement_checks import spreads, unplaceable
from reconciler.specfiles.places import Finding, Path
from reconciler.specfiles.problem_codes import CODES

_ITSELF: Final[Path] = ("metadata",)
_FENCING: Final[Path] = ("spec", "fencing")
_HOSTS: Final[Path] = ("spec", "hosts")
_POOLS: Final[Path] = ("spec", "disks", EACH, "pool")
_NETWORKS: Final[Path] = ("spec", "networks", EACH, "network")
_MUTUAL: Final = ("S031", "S037", "S045", "S049")


class _Need(Struct, frozen=True):
    """What must be known of a draft; `silence`: what it does not say is meant so."""

    paths: tuple[Path, ...]
    silence: bool = False

    def is_met(self, draft: Draft) -> bool:
        return all(draft.knows(path) for path in self.paths) and not (self.silence and draft.doubtful)


class _Rule(Struct, frozen=True):
    """A check, and which drafts take part; `alone`: it judges one object at a time, so doubled names do no harm."""

    check: Callable[[Catalog], Found]
    needs: Mapping[Kind, _Need] = MappingProxyType({})
    alone: bool = False


_EXACT_HOST: Final = _Need((_ITSELF,), silence=True)
_CHOOSER: Final = _Need((_HOSTS,))
_EXACT_CHOOSER: Final = _Need((_HOSTS,), silence=True)

_FACILITY_RULES: Final = (
    _Rule(own_annotations, alone=True),
    _Rule(doubled_uris),
    _Rule(refused_parameters, alone=True),
    _Rule(halves_of_power, alone=True),
    _Rule(doubled_devices, {"Host": _Need((_FENCING,))}),
    _Rule(named_guids, {"Host": _Need((_ITSELF,))}),
    _Rule(doubled_targets, {"Host": _EXACT_HOST, "StoragePool": _EXACT_CHOOSER}),
    _Rule(overlapping_networks, {"Host": _EXACT_HOST, "Network": _EXACT_CHOOSER}),
    _Rule(selected_hosts, alone=True),
)
_VM_RULES: Final = (
    _Rule(doubled_macs, {"VirtualMachine": _Need((("metadata", "name"), ("spec", "networks", EACH, "mac")))}),
    _Rule(references, alone=True),
    _Rule(small_disks, alone=True),
    _Rule(unfit_pools, {"VirtualMachine": _Need((("spec", "disks", EACH, "format"),), silence=True)}),
    # A VM or pool that leaves out a constraint only fits more hosts.
    _Rule(
        unplaceable,
        {
            "Host": _EXACT_HOST,
            "StoragePool": _CHOOSER,
            "Network": _CHOOSER,
            "VirtualMachine": _Need((_POOLS, _NETWORKS, ("spec", "placement", "hosts"))),
        },
    ),
    _Rule(
        spreads,
        {
            "Host": _EXACT_HOST,
            "StoragePool": _CHOOSER,
            "Network": _CHOOSER,
            "VirtualMachine": _Need((_POOLS, _NETWORKS, _ITSELF, ("spec", "placement")), silence=True),
        },
    ),
)


class Subjects(Struct, frozen=True):
    """What the other checks pass over: objects with errors, and objects that share their name; each by a name alone."""

    drafts: Mapping[ObjectRef, SpecObject]
    doubled: Mapping[ObjectRef, SpecObject]

    def __bool__(self) -> bool:
        return bool(self.drafts or self.doubled)


def subjects_of(claims: Mapping[ObjectRef, Sequence[SpecObject]], nameless: Iterable[SpecObject]) -> Subjects:
    """The subjects among all objects by their names."""
    drafts: dict[ObjectRef, SpecObject] = {}
    doubled: dict[ObjectRef, SpecObject] = {}
    for ref, group in claims.items():
        drafted = [item for item in map(_from_draft, group) if item is not None]
        if len(group) == 1:
            drafts.update((ref, item) for item in drafted if item.draft is not None)
        else:
            doubled.update((ObjectRef(ref.kind, f"{ref.name} ({index})"), item) for index, item in enumerate(drafted))
    for index, item in enumerate(filter(None, map(_from_draft, nameless))):
        kind = item.perhaps[0].kind
        ref = ObjectRef(kind, f"(unnamed {index})")
        drafts[ref] = replace(item, ref=ref)
    return Subjects(drafts, doubled)


def more_findings(
    subjects: Subjects, facilities: Catalog, others: Catalog, sizes: Mapping[str, int | Finding]
) -> Iterator[tuple[SpecObject, Finding]]:
    """What the checks find once the drafts take part, by place in the file, and some of what they found without.

    `facilities` and `others` are the objects without errors that hosts, pools and networks, or VMs, are judged with.
    """
    found = [*_run(_FACILITY_RULES, facilities, subjects), *refused_images(subjects.drafts, sizes)]
    refused = {item.ref for item, finding in found if CODES[finding.code].severity == "error"}
    sound = {ref: item for ref, item in subjects.drafts.items() if item.ref not in refused}
    known_sizes = {name: size for name, size in sizes.items() if isinstance(size, int)}
    found += _run(_VM_RULES, replace(others, image_sizes=known_sizes), replace(subjects, drafts=sound))
    for item, finding in found:
        if item.draft is not None:
            written = as_written(item.draft, finding)
            if written is not None:
                yield item, written
        elif finding.code not in _MUTUAL:  # said where the mistakes are; this one stays in use
            yield item, finding


def _run(rules: Iterable[_Rule], catalog: Catalog, subjects: Subjects) -> Found:
    for rule in rules:
        joining = {ref: item for ref, item in subjects.drafts.items() if _takes_part(item, rule.needs.get(ref.kind))}
        if rule.alone:
            joining |= subjects.doubled
        yield from rule.check(replace(catalog, objects={**catalog.objects, **joining}))


def _takes_part(item: SpecObject, need: _Need | None) -> bool:
    return need is None or item.draft is None or need.is_met(item.draft)


def _from_draft(item: SpecObject) -> SpecObject | None:
    if item.draft is None:
        return item if item.resource is not None else None
    return replace(item, resource=item.draft.resource)

"""A directory of specs to the desired state, with every problem of it at once.

    files ─▶ documents ─▶ objects ─▶ checks across files ─▶ desired state
                                                      ▲
                         what was good before ────────┘

An object that can't be used keeps its last good form; where nothing is known of it, nothing may be removed.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.model.approval import Approval
from reconciler.model.desired_state import DesiredState, SourceRef, SpecProblem
from reconciler.model.host import Host
from reconciler.model.image import Image
from reconciler.model.network import Network
from reconciler.model.policy import PlainSecrets
from reconciler.model.resource import ObjectRef, Resource
from reconciler.model.storage_pool import StoragePool
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.specfiles.checks import check
from reconciler.specfiles.directory import Listing, read_directory, shown_path
from reconciler.specfiles.generation import shown_directory, snapshot_of
from reconciler.specfiles.image_sizes import IMAGE_FILE, ImageSize, measure
from reconciler.specfiles.last_good import objects_of, stand_in
from reconciler.specfiles.objects import SpecFile, read_objects
from reconciler.specfiles.places import Finding, Text, make_problem

__all__ = ["ImageSize", "LoadedSpecs", "load"]

R = TypeVar("R")


class LoadedSpecs(DesiredState, Struct, frozen=True):
    """The desired state, and what the next load need not do again."""

    fleet: str = ""
    directory: str = ""
    files: Mapping[str, SpecFile] = field(default_factory=dict)
    """Every file that was read, by its path below the directory."""
    unread: Mapping[str, SpecProblem] = field(default_factory=dict)
    """What could not be read, by path; the directory itself is the empty path."""
    image_sizes: Mapping[str, int | Finding] = field(default_factory=dict)
    """Virtual sizes in bytes, or why one is not known."""


def load(
    directory: Path,
    *,
    fleet: str,
    previous: LoadedSpecs | None = None,
    image_size: ImageSize | None = None,
    plain_secrets: PlainSecrets = "warn",
) -> LoadedSpecs:
    """Read, validate and check all specs below `directory`; problems are in the result, nothing is raised for them.

    `previous` is the result of the load before: files with the same content are not parsed again, and objects
    that turned invalid keep the form that they had in it.
    """
    if previous is not None and (previous.fleet, previous.directory) != (fleet, str(directory)):
        previous = None
    with _collector_paused(keep=previous is None):
        shown = shown_directory(directory)
        listing = read_directory(directory, shown=shown)
        if listing.unusable is not None:
            return _as_before(directory, fleet, listing.unusable, previous)
        files = _read(directory, shown, listing, previous, plain_secrets)
        if not listing.problems and not any(file.objects or file.broken for file in files.values()):
            return _as_before(directory, fleet, _nothing_in(shown, is_commit=shown != str(directory)), previous)
        return _load(directory, fleet, listing, files, previous, image_size)


def _load(
    directory: Path,
    fleet: str,
    listing: Listing,
    files: Mapping[str, SpecFile],
    previous: LoadedSpecs | None,
    image_size: ImageSize | None,
) -> LoadedSpecs:
    sizes = measure(_images(files.values()), image_size)
    snapshot = snapshot_of(directory, listing.contents)
    if previous is not None and _unchanged(previous, files, listing, sizes):
        return replace(previous, generation=snapshot.generation, revision=snapshot.revision)
    remembered = objects_of(previous).keys() if previous is not None else ()
    checked = check(files.values(), fleet, sizes, remembered, listing.problems.values())
    for file in files.values():
        file.text.forget()
    broken = [file.broken for file in files.values() if file.broken is not None]
    standing = stand_in(checked, [*listing.problems.values(), *broken], previous)
    objects = sorted(standing.objects.items())
    vms = _of(objects, VirtualMachine)
    return LoadedSpecs(
        generation=snapshot.generation,
        revision=snapshot.revision,
        hosts=_of(objects, Host),
        pools=_of(objects, StoragePool),
        networks=_of(objects, Network),
        images=_of(objects, Image),
        vms=vms,
        former={vm.metadata.origin: name for name, vm in vms.items() if vm.metadata.previous_name is not None},
        approvals=_of(objects, Approval),
        sources=standing.sources,
        problems=tuple(sorted([*listing.problems.values(), *checked.problems])),
        unusable=standing.unusable,
        removal_hold=standing.removal_hold,
        fleet=fleet,
        directory=str(directory),
        files=files,
        unread=listing.problems,
        image_sizes=sizes,
    )


def _images(files: Iterable[SpecFile]) -> Iterator[Image]:
    """All images, those with mistakes first, so that of two with one name the right one's size is taken."""
    items = [item for file in files for item in file.objects]
    for item in items:
        draft = item.draft
        if draft and isinstance(draft.resource, Image) and all(map(draft.knows, IMAGE_FILE)):
            yield draft.resource
    yield from (item.resource for item in items if isinstance(item.resource, Image))


def _of(objects: Iterable[tuple[ObjectRef, Resource]], model: type[R]) -> dict[str, R]:
    return {ref.name: item for ref, item in objects if isinstance(item, model)}


def _read(
    directory: Path, shown: str, listing: Listing, previous: LoadedSpecs | None, plain_secrets: PlainSecrets
) -> dict[str, SpecFile]:
    known = previous.files if previous is not None else {}
    absolute = os.fspath(directory.absolute())
    files: dict[str, SpecFile] = {}
    for path, content in listing.contents.items():
        before = known.get(path)
        if before is not None and before.text.content == content:
            files[path] = before
        else:
            folder = f"{absolute}/{path}".rpartition("/")[0]
            files[path] = read_objects(Text(shown_path(shown, path), content), folder, plain_secrets)
    return files


def _unchanged(
    previous: LoadedSpecs, files: Mapping[str, SpecFile], listing: Listing, sizes: Mapping[str, int | Finding]
) -> bool:
    """Whether the checks would find what they found before."""
    return (
        previous.files.keys() == files.keys()
        and all(previous.files[path] is file for path, file in files.items())
        and previous.unread == listing.problems
        and previous.image_sizes == sizes
    )


def _as_before(directory: Path, fleet: str, problem: SpecProblem, previous: LoadedSpecs | None) -> LoadedSpecs:
    """No specs at all: what was wanted stays wanted, and nothing is removed."""
    if previous is None:
        snapshot = snapshot_of(directory, {})
        previous = LoadedSpecs(
            generation=snapshot.generation, revision=snapshot.revision, fleet=fleet, directory=str(directory)
        )
    hold = f"{problem.where.file}: {problem.message}"
    return replace(previous, problems=(problem,), removal_hold=hold, unread={"": problem})


def _nothing_in(shown: str, *, is_commit: bool) -> SpecProblem:
    message = (
        "holds no specs; nothing is removed for that: end a fleet by `runStrategy: Halted`, or remove its objects"
        " while a Host stays, and see `reconciler plan`"
        if is_commit
        else "holds no specs; run `reconciler init` for a first fleet, or check that it is mounted"
    )
    return make_problem(Finding("S002", (), message), SourceRef(shown, 1), "")


@contextmanager
def _collector_paused(*, keep: bool) -> Iterator[None]:
    """Tens of thousands of new objects and no garbage: the collector would go over them in vain, again and again.

    `keep` says that this is the first load: what there is by now mostly stays, and is not gone over later either.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if keep:
            gc.freeze()
        if enabled:
            gc.enable()

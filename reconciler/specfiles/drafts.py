"""What an object with mistakes says apart from them, so that the rest of it is checked in the same run.

A draft is for checks across files only: nothing is made of it, and it never stands in for anything. Values that
could not be read are left out, or are empty where the model must have one; nothing is said of what is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError

from reconciler.model.resource import Resource
from reconciler.specfiles.json_schema import MODELS
from reconciler.specfiles.lenient import read_leniently
from reconciler.specfiles.messages import PRIVATE, finding_of
from reconciler.specfiles.places import Finding, Path

EACH: Final = -1
"""In a path: every item of a list."""

# A mistyped field within a mistyped field, and one more; who mistypes deeper reads the rest in the next run.
_ROUNDS: Final = 3


class Draft(Struct, frozen=True):
    """The object as far as it is known; paths are those of the fields that were meant."""

    resource: Resource
    unread: tuple[Path, ...]
    """Places whose value is wrong or missing."""
    doubtful: bool
    """A field is unknown or two contradict each other: what it does not say, or says, may not be what was meant."""
    moved: tuple[tuple[Path, str], ...]
    """Fields whose name was mistyped, with that name."""

    def knows(self, path: Path) -> bool:
        """Whether nothing at, below or above `path` was left out."""
        return not any(_overlap(path, place) for place in self.unread)

    def written(self, path: Path) -> Path:
        """Where `path` stands in the file."""
        for meant, name in reversed(self.moved):
            if path[: len(meant)] == meant:
                path = (*meant[:-1], name, *path[len(meant) :])
        return path


def findings_in(kind: str, data: Mapping[str, Any]) -> tuple[Resource | None, list[Finding]]:
    """The object, or else all findings; a field missing because its name was mistyped is said once, where it is."""
    try:
        # By alias only: a spec has one spelling of each field, not two.
        return MODELS[kind].model_validate(data, by_alias=True, by_name=False), []
    except ValidationError as error:
        found = [finding_of(kind, details) for details in error.errors(include_url=False)]
    meant = {(*finding.path[:-1], finding.suggestion) for finding in found if finding.code == "S014"}
    return None, [finding for finding in found if finding.code != "S015" or finding.path not in meant]


def draft_of(kind: str, data: Mapping[str, Any], findings: Iterable[Finding]) -> tuple[Draft, list[Finding]]:
    """The draft of an object with `findings`, and what is wrong within its fields of mistyped names, by file path."""
    current, moved, more = list(findings), [], list[Finding]()
    for _ in range(_ROUNDS):
        renames = _renames(data, current)
        if not renames:
            break
        for meant, name in renames:
            data = _renamed(data, (*meant[:-1], name), str(meant[-1]))
        moved += renames
        _, later = findings_in(kind, data)
        more += [finding for finding in later if finding not in current and _is_certain(finding, moved)]
        current = later
    resource, unread = read_leniently(MODELS[kind], data)
    doubtful = any(finding.code in ("S014", "S020") for finding in current)
    draft = Draft(resource, tuple(unread), doubtful, tuple(moved))
    return draft, [written for written in (_at_its_place(draft, finding) for finding in more) if written]


def as_written(draft: Draft, finding: Finding) -> Finding | None:
    """The finding at its place in the file; None if it is about what was left out."""
    return _at_its_place(draft, finding) if draft.knows(finding.path) else None


def _at_its_place(draft: Draft, finding: Finding) -> Finding | None:
    path = draft.written(finding.path)
    if path != finding.path and not PRIVATE.isdisjoint(finding.path):
        return None  # below a mistyped name the line can't be told from one that may be shown
    return Finding(finding.code, path, finding.message, finding.on_key, finding.suggestion)


def _overlap(one: Path, other: Path) -> bool:
    """Whether one leads to or into the other."""
    return all(a == b or (EACH in (a, b) and {type(a), type(b)} == {int}) for a, b in zip(one, other, strict=False))


def _renames(data: Mapping[str, Any], findings: Iterable[Finding]) -> list[tuple[Path, str]]:
    """Mistyped fields whose right name is free and is meant by no other: the right path, and the name written."""
    meant: dict[Path, list[str]] = {}
    for finding in findings:
        if finding.code == "S014" and finding.suggestion:
            meant.setdefault((*finding.path[:-1], finding.suggestion), []).append(str(finding.path[-1]))
    return [
        (path, names[0])
        for path, names in meant.items()
        if len(names) == 1 and path[-1] not in _value_at(data, path[:-1])
    ]


def _value_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _renamed(data: Any, path: Path, name: str) -> Any:
    """A copy with the last key of `path` replaced; what is not on the way is shared."""
    step, *rest = path
    if not rest:
        return {(name if key == step else key): value for key, value in data.items()}
    pairs = enumerate(data) if isinstance(data, list) else data.items()
    copied = {key: _renamed(value, tuple(rest), name) if key == step else value for key, value in pairs}
    return list(copied.values()) if isinstance(data, list) else copied


def _is_certain(finding: Finding, moved: Iterable[tuple[Path, str]]) -> bool:
    """Whether it holds if the mistyped names were understood; a value of the wrong type says that they were not."""
    within = [meant for meant, _ in moved if finding.path[: len(meant)] == meant]
    if not within:
        return finding.code == "S020"  # said only once all that it compares could be read
    return finding.code != "S016" or finding.path not in within

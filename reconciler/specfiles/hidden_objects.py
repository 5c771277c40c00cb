"""What may be defined where nothing, or not enough, could be read: nobody is told that it does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.model.resource import KINDS, ObjectRef
from reconciler.specfiles.objects import SpecFile

_NAME: Final = re.compile(rb"\bname[\"']?\s*:\s*[\"']?([a-z0-9][a-z0-9-]{0,62})")


def what_may_be_there(files: Iterable[SpecFile], *, blind: bool) -> frozenset[ObjectRef]:
    """References that may be right; an empty name stands for any. `blind`: some file could not be read at all."""
    found = {ObjectRef(kind, "") for kind in KINDS} if blind else set[ObjectRef]()
    for file in files:
        if file.broken is not None:
            found.update(_mentioned(file.text.content))
        for item in file.objects:
            found.update(item.perhaps)
    return frozenset(found)


def _mentioned(content: bytes) -> Iterator[ObjectRef]:
    """What a file that is no YAML seems to define: a name that is written there, of a kind that is."""
    kinds = [kind for kind in KINDS if kind.encode() in content]
    names = {match[1].decode() for match in _NAME.finditer(content)}
    for kind in kinds or KINDS:
        yield from (ObjectRef(kind, name) for name in names)

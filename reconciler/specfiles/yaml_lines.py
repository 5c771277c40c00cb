"""The line where each document begins, without parsing: quick enough to be known for every object."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from reconciler.specfiles.yaml_documents import Document

_MARKER: Final = re.compile(rb"^---(?=\s|$)", re.MULTILINE)
_CONTENT: Final = re.compile(rb"^[^#\s\xef\xbb\xbf]", re.MULTILINE)


def first_lines(content: bytes, documents: Sequence[Document]) -> list[int]:
    """The line (from 1) where the content of each document begins; 1 where that can't be told."""
    if len(documents) == 1:
        return [documents[0].line or _line_of_content(content, 0, len(content), 1)]
    if all(document.line is not None for document in documents):
        return [document.line or 1 for document in documents]
    starts = [match.end() for match in _MARKER.finditer(content)]
    if not starts or _CONTENT.search(content, 0, starts[0] - 3):
        starts.insert(0, 0)
    if len(starts) != len(documents):
        return [document.line or 1 for document in documents]
    lines: list[int] = []
    line, seen = 1, 0
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        line += content.count(b"\n", seen, start)
        seen = start
        lines.append(_line_of_content(content, start, end, line))
    return lines


def _line_of_content(content: bytes, start: int, end: int, line: int) -> int:
    """The first line from `start` on that is neither blank nor a comment; `line` is that of `start`."""
    found = _CONTENT.search(content, start, end)
    return line + content.count(b"\n", start, found.start()) if found else line

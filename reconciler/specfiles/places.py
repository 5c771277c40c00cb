"""Problems with their exact place: position, the line to show, what to mark in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from reconciler.model.desired_state import SourceRef, SpecProblem
from reconciler.specfiles.problem_codes import CODES, Code
from reconciler.specfiles.redaction import (
    follows_secret_block,
    showable_line,
    without_credentials,
    without_quotations,
)
from reconciler.specfiles.yaml_text import Position, YamlError

if TYPE_CHECKING:
    from reconciler.specfiles.yaml_positions import PositionIndex

Path = tuple[str | int, ...]

_QUOTED_TOKEN: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'")
_PLAIN_TOKEN: Final = re.compile(r"[^\s,\[\]{}#:]+(?::(?!\s|$)[^\s,\[\]{}#:]*)*")


class Finding(Struct, frozen=True):
    """What is wrong with one value: `path` from the document's root; `on_key` marks the key, not the value."""

    code: Code
    path: Path
    message: str
    on_key: bool = False
    suggestion: str = ""


class Text(Struct, eq=False):
    """One spec file as it was read; positions are found out only when something is wrong."""

    file: str
    """As shown to people: the directory as they gave it, and the path below."""
    content: bytes
    _lines: list[str] | None = None
    _positions: PositionIndex | None = None

    def __eq__(self, other: object) -> bool:
        """What was found out about a text since it was read is no part of it."""
        return isinstance(other, Text) and (self.file, self.content) == (other.file, other.content)

    __hash__ = None  # type: ignore[assignment]  # it is not frozen

    def problem(self, document: int, target: str, finding: Finding) -> SpecProblem:
        """The finding, ready to be shown."""
        index = self._index()
        place = index.key_position if finding.on_key else index.position
        position = place(document, finding.path) if finding.path else index.position(document)
        where = SourceRef(self.file, position.line, position.column)
        snippet = showable_line(self.lines(), position.line)
        # An unknown field below cloudInit may be a line of its text that slipped out by wrong indentation.
        slipped = finding.code == "S014" and follows_secret_block(self.lines(), position.line)
        if slipped or (not snippet and finding.on_key):
            snippet = self._key_alone(position, finding.path)
        return make_problem(finding, where, target, snippet)

    def syntax_problem(self, error: YamlError) -> SpecProblem:
        """The error of the parser, without anything of a line that may hold a secret."""
        lines = self.lines()
        hidden = follows_secret_block(lines, error.line)
        message = without_quotations(error.message) if hidden else error.message
        snippet = "" if hidden else showable_line(lines, error.line)
        finding = Finding("S010", (), f"{message}; {error.hint}" if error.hint else message)
        return make_problem(finding, SourceRef(self.file, error.line, error.column), "", snippet)

    def forget(self) -> None:
        """Give back the memory of what can be found out again."""
        self._lines = self._positions = None

    def lines(self) -> list[str]:
        """The file's lines; bytes that are not UTF-8 are replaced."""
        if self._lines is None:
            self._lines = self.content.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
        return self._lines

    def _key_alone(self, position: Position, path: Path) -> str:
        """The line up to its key, where that is all that comes before: enough to show a slip of the pen in a name."""
        line = self.lines()[position.line - 1]
        before, key = line[: position.column - 1], str(path[-1])
        return f"{before}{key}:" if not before.strip(" -") and line.startswith(f"{key}:", position.column - 1) else ""

    def _index(self) -> PositionIndex:
        if self._positions is None:
            from reconciler.specfiles.yaml_positions import locate  # noqa: PLC0415  PyYAML is seldom needed

            self._positions = locate(self.content)
        return self._positions


def make_problem(finding: Finding, where: SourceRef, target: str, snippet: str = "") -> SpecProblem:
    """A problem at a known place."""
    return SpecProblem(
        where=where,
        code=finding.code,
        target=target,
        field=dotted(finding.path),
        message=without_credentials(finding.message),
        severity=CODES[finding.code].severity,
        snippet=snippet,
        width=_width(snippet, where.column),
        suggestion=finding.suggestion,
    )


def dotted(path: Path) -> str:
    """`spec.disks[0].size`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _width(line: str, column: int) -> int:
    """Characters of the key or value that begins at `column` (from 1)."""
    start = column - 1
    match = _QUOTED_TOKEN.match(line, start) or _PLAIN_TOKEN.match(line, start)
    return len(match[0]) if match else 1

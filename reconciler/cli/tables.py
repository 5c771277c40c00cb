"""Lists as table, JSON, YAML, CSV or Markdown, with the columns that the reader chose."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Literal, TypeVar

from msgspec import Struct

from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import printable
from reconciler.errors import UsageError

TableFormat = Literal["table", "json", "yaml", "csv", "markdown"]
T = TypeVar("T")
_MARKUP: Final = re.compile(r"[\\|`*_~\[\]]")
_CALLS: Final = re.compile(r"(?<!\w)[@#!](?=\w)|:(?=//)")
"""What makes somebody be told, an issue be linked or an address be opened with a click."""


class Column(Struct, Generic[T], frozen=True):
    """One column: its `key` is what `-c` takes, `text` what people read in it."""

    key: str
    text: Callable[[T], str]
    styles: Callable[[T], tuple[Style, ...]] = lambda _: ()
    heading: str = ""
    """Title, where it is another word than the key."""

    @property
    def title(self) -> str:
        return (self.heading or self.key).upper()


def chosen(columns: Sequence[Column[T]], keys: Sequence[str]) -> tuple[Column[T], ...]:
    """The columns named by `keys`, in that order; all of them where none is named. Raises UsageError."""
    known = {column.key: column for column in columns}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise UsageError(f"there is no column {unknown[0]!r}", hint=f"choose from {','.join(known)}")
    return tuple(known[key] for key in keys) or tuple(columns)


def table(rows: Sequence[T], columns: Sequence[Column[T]], terminal: Terminal) -> str:
    """Aligned columns under upper-case titles; the last one takes what width is left."""
    last = len(columns) - 1
    cells = [
        [printable(column.text(row)) or ("" if index == last else "-") for index, column in enumerate(columns)]
        for row in rows
    ]
    widths = [max([len(column.title), *(len(line[index]) for line in cells)]) for index, column in enumerate(columns)]
    if terminal.interactive:
        widths[last] = max(10, min(widths[last], terminal.width - sum(widths[:last]) - 2 * last))
    lines = [
        terminal.paint(
            "  ".join(f"{column.title:<{widths[index]}}" for index, column in enumerate(columns)).rstrip(), "dim"
        )
    ]
    for row, line in zip(rows, cells, strict=True):
        painted = [
            _cell(text, widths[index], column.styles(row), terminal, last=index == last)
            for index, (column, text) in enumerate(zip(columns, line, strict=True))
        ]
        lines.append("  ".join(painted).rstrip())
    return "\n".join(lines) + "\n"


def _cell(text: str, width: int, styles: tuple[Style, ...], terminal: Terminal, *, last: bool) -> str:
    shown = text if len(text) <= width else f"{text[: width - 1]}…"
    padding = "" if last else " " * (width - len(shown))
    return terminal.paint(shown, *styles) + padding


def csv_text(rows: Sequence[T], columns: Sequence[Column[T]]) -> str:
    """RFC 4180, with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.key for column in columns])
    writer.writerows([[column.text(row) for column in columns] for row in rows])
    return buffer.getvalue()


def markdown_table(rows: Sequence[T], columns: Sequence[Column[T]]) -> str:
    """A Markdown table."""
    lines = [
        f"| {' | '.join(column.title for column in columns)} |",
        f"| {' | '.join('---' for _ in columns)} |",
        *(f"| {' | '.join(markdown_cell(column.text(row)) for column in columns)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def markdown_cell(text: str) -> str:
    """Text that neither ends its cell nor becomes markup, calls nobody (`@name`) and refers to no issue (`#1`)."""
    flat = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return _CALLS.sub(r"\g<0>&#8203;", flat.replace("&", "&amp;").replace("<", "&lt;"))


def json_text(data: Any) -> str:
    """Indented JSON with a line end."""
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def yaml_text(data: Any) -> str:
    """Block style YAML."""
    import yaml  # noqa: PLC0415  for one format only

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return text

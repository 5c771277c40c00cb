"""The parts that lines about plans are made of: columns, free text, changed fields, hints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from reconciler.cli.command_line import CommandLine
from reconciler.cli.terminal import Style, Terminal
from reconciler.cli.words import printable, wrapped
from reconciler.model.next_command import NextCommand
from reconciler.model.plan import Disruption, FieldChange

Detail = Literal["short", "normal", "verbose"]

INDENT: Final = "    "
DISRUPTION_STYLE: Final[dict[Disruption, Style]] = {
    "none": "dim",
    "live": "dim",
    "migrate": "accent",
    "reboot": "warn",
    "rebuild": "bad",
    "destroy": "bad",
    "data-loss": "bad",
}
_BOOKKEEPING: Final = "applied spec"
_WIDEST_CELL: Final = 48
_WIDEST_FIELD: Final = 60
_NARROWEST_TEXT: Final = 36


def column_widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Width of each column of the rows, very long cells left out of account."""
    return [min(max(map(len, column)), _WIDEST_CELL) for column in zip(*rows, strict=True)]


def padded(row: tuple[str, ...], widths: Sequence[int]) -> list[str]:
    """The cells of a row, each as wide as its column and two spaces."""
    return [f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=True)]


def with_text(painted: list[str], width: int, text: str, terminal: Terminal) -> list[str]:
    """The line with its free text: wrapped in its column, or on lines of its own where that would be too narrow."""
    head, text = "".join(painted), printable(text)
    if width + len(text) <= terminal.width:
        return [(head + text).rstrip()]
    if terminal.width - width < _NARROWEST_TEXT:
        return [head.rstrip(), *wrapped(text, terminal.width, INDENT)]
    first, *rest = wrapped(text, terminal.width, " " * width)
    return [head + first[width:], *rest]


def worth_telling(changes: Sequence[FieldChange], detail: Detail = "normal") -> Sequence[FieldChange]:
    """The changes less our own bookkeeping, unless that is all there is: a change without a difference puzzles."""
    told = [change for change in changes if change.field != _BOOKKEEPING]
    return changes if detail == "verbose" or not told else told


def field_lines(
    changes: Sequence[FieldChange], terminal: Terminal, indent: str = INDENT, *, is_refused: bool = False
) -> list[str]:
    """`memory: 2GiB → 4GiB  (reboot)`, disruptions below one another; what is never done costs nobody anything."""
    pairs = [printable(f"{change.field}: {change.old or '(none)'} → {change.new or '(none)'}") for change in changes]
    width = min(max(map(len, pairs), default=0), _WIDEST_FIELD)
    return [
        f"{indent}{pair:<{width}}  "
        + ("(refused)" if is_refused else terminal.paint(f"({change.disruption})", DISRUPTION_STYLE[change.disruption]))
        for pair, change in zip(pairs, changes, strict=True)
    ]


def hint_lines(hint: str, terminal: Terminal, commands: CommandLine, indent: str = INDENT) -> list[str]:
    """`→ what to do next`; a command stays on one line, to be copied."""
    if isinstance(hint, NextCommand):
        return [terminal.paint(f"{indent}→ {commands.spelled(hint)}", "accent")]
    first, *rest = wrapped(printable(hint), terminal.width - 2, indent)
    lines = [f"{indent}→ {first[len(indent) :]}", *(f"{indent}  {line[len(indent) :]}" for line in rest)]
    return [terminal.paint(line, "accent") for line in lines]

"""The table, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from tests.bench.measuring import Row, Target, Unit

_HEADINGS: Final = ("what", "ours", "n", "theirs", "ratio", "target", "", "beside")
_RIGHT: Final = frozenset({"ours", "n", "theirs", "ratio", "target"})
_MARKS: Final = {True: "✔", False: "✗", None: " "}


def render(rows: Sequence[Row]) -> str:
    """Lines of aligned columns: medians, and the spread of ours in one word of the footer."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*lines, *_footer(rows)]) + "\n"


def as_json(rows: Sequence[Row]) -> str:
    """One object with every sample."""
    return json.dumps(
        {
            "rows": [
                {
                    "what": row.what,
                    "unit": row.unit,
                    "ours": row.ours,
                    "beside": row.beside,
                    "theirs": row.theirs,
                    "median": row.value,
                    "ratio": row.ratio,
                    "target": None if row.target is None else {"of": row.target.of, "atMost": row.target.limit},
                    "reached": row.reached,
                }
                for row in rows
            ]
        },
        indent=2,
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        _amount(row.value, row.unit),
        str(len(row.ours)),
        _amount(row.their_value, row.unit) if row.theirs else "",
        f"{row.ratio:.2f} ×" if row.ratio is not None else "",
        _target(row.target, row.unit),
        _MARKS[row.reached],
        row.beside,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _amount(value: float, unit: Unit) -> str:
    if unit == "MiB":
        return f"{value:.0f} MiB"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _target(target: Target | None, unit: Unit) -> str:
    if target is None:
        return ""
    return f"≤ {_amount(target.limit, unit)}" if target.of == "value" else f"≤ {target.limit:.2f} ×"


def _footer(rows: Sequence[Row]) -> list[str]:
    missed = [row.what for row in rows if row.reached is False]
    judged = sum(row.reached is not None for row in rows)
    verdict = f"{judged - len(missed)} of {judged} targets reached"
    return ["", verdict + (f"; missed: {', '.join(missed)}" if missed else "")]

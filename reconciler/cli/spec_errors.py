"""Problems of specs as people read them: where, what, the line with a marker, and the next command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from reconciler.model.desired_state import SpecProblem

_COLOURS: Final = {"error": "31;1", "warning": "33;1", "place": "1", "dim": "2", "hint": "36"}
_INDEX: Final = re.compile(r"\[\d+\]")
_EXPLAINED: Final = frozenset({"S014", "S015", "S016", "S017", "S018", "S019", "S020"})
_LONGEST: Final = 160


def render_problems(problems: Sequence[SpecProblem], *, colour: bool = False) -> str:
    """Every problem, and an end line of counts; empty for none.

    The first line of each is `file:line:column: Kind/name: field: what is wrong, what would be right  error[S0xx]`,
    so that it can be searched for and clicked on.
    """
    if not problems:
        return ""
    paint = _Paint(colour=colour)
    blocks = [_block(problem, paint) for problem in problems]
    return "\n\n".join([*blocks, count_line(problems)]) + "\n"


def first_line(problem: SpecProblem) -> str:
    """The problem on one line, without its code."""
    parts = (str(problem.where), problem.target, problem.field, problem.message)
    return ": ".join(part for part in parts if part)


def count_line(problems: Sequence[SpecProblem]) -> str:
    """`2 errors, 1 warning in 2 files`."""
    errors = sum(problem.severity == "error" for problem in problems)
    counts = [_counted(errors, "error"), _counted(len(problems) - errors, "warning")]
    files = _counted(len({problem.where.file for problem in problems}), "file")
    return f"{', '.join(count for count in counts if count)} in {files}"


def next_command(problem: SpecProblem) -> str:
    """The command that tells more: about the field where its form is wrong, else about the code."""
    kind = problem.target.partition("/")[0]
    if not kind or problem.code not in _EXPLAINED:
        return f"reconciler explain {problem.code}"
    path = _INDEX.sub("", problem.field)
    if problem.code == "S014":
        path = path.rpartition(".")[0]
    return f"reconciler explain {kind}{f'.{path}' if path else ''}"


def _block(problem: SpecProblem, paint: _Paint) -> str:
    code = paint(problem.severity, f"{problem.severity}[{problem.code}]")
    head, _, rest = first_line(problem).partition(": ")
    lines = [f"{paint('place', head)}: {rest}  {code}"]
    if problem.snippet:
        lines += _marked(problem, paint)
    lines.append(f"  → {paint('hint', next_command(problem))}")
    return "\n".join(lines)


def _marked(problem: SpecProblem, paint: _Paint) -> list[str]:
    number = str(problem.where.line)
    start, text = problem.where.column - 1, problem.snippet.replace("\t", " ")
    if len(text) > _LONGEST:
        cut = max(0, start - _LONGEST // 2)
        text, start = text[cut : cut + _LONGEST], start - cut
    width = max(1, min(problem.width, len(text) - start))
    gutter = paint("dim", "│")
    marker = paint(problem.severity, "^" * width)
    blank = " " * len(number)
    return [f"  {paint('dim', number)} {gutter} {text}", f"  {blank} {gutter} {' ' * start}{marker}"]


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}" if number else ""


class _Paint:
    """Puts a text between escape codes, or leaves it as it is."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, role: str, text: str) -> str:
        return f"\x1b[{_COLOURS[role]}m{text}\x1b[0m" if self._colour else text

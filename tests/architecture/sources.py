"""The Python sources of this repository, parsed."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Source:
    """One module: where it lies, and what it says."""

    path: Path
    """Relative to the repository."""
    text: str

    @property
    def tree(self) -> ast.Module:
        """What that means; parsed where somebody asks for it, and once."""
        return _parsed(self.text)

    def place(self, node: ast.expr | ast.stmt | ast.ExceptHandler) -> str:
        return f"{self.path}:{node.lineno}"


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every module below ``folders`` of the repository, e.g. ``reconciler/planner``, in order of path."""
    return tuple(_read(folders))


def _read(folders: tuple[str, ...]) -> Iterator[Source]:
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            yield Source(path.relative_to(REPOSITORY), path.read_text())


@functools.cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def imported_modules(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Each import with the full name of what it names: ``from a.b import c`` yields ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module


def called_name(call: ast.Call) -> str:
    """``datetime.now`` for ``datetime.now(UTC)``; the last two names where there are more, empty for a computed one."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        owner = function.value
        before = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
        return f"{before}.{function.attr}"
    return ""

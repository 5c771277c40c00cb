"""What is logged is found by its name, and by the object and host that it is about."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.architecture.sources import Source

pytestmark = pytest.mark.no_cover  # sources are read here, nothing of them runs

_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_NAME = re.compile(r"[a-z]+(?:[._-][a-z]+)*")
_OTHER_WORDS = {"vm", "name", "target", "domain", "hostname", "node", "kind"}
"""Keys under which somebody might look for an object or a host: those are `object` and `host`, always."""


def test_an_event_has_a_constant_name() -> None:
    assert [place for source in sources("reconciler") for place in _without_constant_name(source)] == []


def test_an_object_and_a_host_are_called_so() -> None:
    calls = [(source, call) for source in sources("reconciler") for call in _log_calls(source)]

    assert [
        f"{source.place(call)}: {keyword.arg}"
        for source, call in calls
        for keyword in call.keywords
        if keyword.arg in _OTHER_WORDS
    ] == []
    assert len(calls) > 40


def test_logging_is_called_and_not_handed_around() -> None:
    """Else a name that is put together somewhere else would not be seen here."""
    assert [place for source in sources("reconciler") for place in _handed_around(source)] == []


def _log_calls(source: Source) -> Iterator[ast.Call]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _is_logging(node.func):
            yield node


def _is_logging(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "log"
        and node.attr in _METHODS
    )


def _without_constant_name(source: Source) -> Iterator[str]:
    tables = dict(_tables(source.tree))
    for call in _log_calls(source):
        assert isinstance(call.func, ast.Attribute)
        named = call.args[1] if call.func.attr == "log" else call.args[0]
        if not all(_NAME.fullmatch(name) for name in _names(named, tables)):
            yield source.place(call)


def _names(node: ast.expr, tables: dict[str, list[str]]) -> list[str]:
    """What the event may be called: one name, or those of a table of constants; an empty name for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return tables.get(node.value.id, [""])
    return [""]


def _tables(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Dict):
            values = [value.value if isinstance(value, ast.Constant) else "" for value in node.value.values]
            yield node.target.id, [value if isinstance(value, str) else "" for value in values]


def _handed_around(source: Source) -> Iterator[str]:
    called = {id(call.func) for call in _log_calls(source)}
    for node in ast.walk(source.tree):
        if _is_logging(node) and id(node) not in called:
            yield source.place(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "partial"):
            first = node.args[0]
            if isinstance(first, ast.Name) and first.id == "log":
                yield source.place(node)

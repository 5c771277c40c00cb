"""Rules of this house that no linter has."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

import pytest

from tests.architecture.sources import Source, called_name, imported_modules, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.no_cover  # sources are read here, nothing of them runs

_LONGEST_MODULE = 400
_EVERYTHING = ("reconciler", "tests", "scripts")
_BINDING = "reconciler/hypervisor/libvirt_binding.py"
_OPEN_POINT = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Each makes a plan depend on more than its arguments; hash() of a text differs from process to process.
_IMPURE_CALLS = {
    *("open", "input", "print", "hash", "id", "eval", "exec", "globals", "__import__"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4"),
}
_IMPURE_MODULES = {"time", "random", "secrets", "os", "pathlib", "logging", "socket", "threading", "sqlite3", "libvirt"}


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {str(source.path): len(source.text.splitlines()) for source in sources(*_EVERYTHING)}

    assert {path: lines for path, lines in lengths.items() if lines > _LONGEST_MODULE} == {}


def test_one_module_alone_imports_libvirt() -> None:
    importers = {
        str(source.path)
        for source in sources("reconciler")
        for _, module in imported_modules(source.tree)
        if module.partition(".")[0] in {"libvirt", "libvirt_qemu", "libvirtmod"}
    }

    assert importers == {_BINDING}


def test_open_points_are_not_left_in_comments() -> None:
    assert [place for source in sources(*_EVERYTHING) for place in _open_points(source)] == []


def test_no_error_is_swallowed() -> None:
    assert [place for source in sources("reconciler") for place in _swallowed_errors(source)] == []


def test_no_function_is_a_stub() -> None:
    assert [place for source in sources("reconciler") for place in _stubs(source)] == []


def test_no_module_keeps_state_in_globals() -> None:
    assert [
        source.place(node)
        for source in sources("reconciler")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Global)
    ] == []


def test_the_planner_asks_nothing_but_its_arguments() -> None:
    planner = sources("reconciler/planner")

    calls = [
        source.place(node)
        for source in planner
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and called_name(node) in _IMPURE_CALLS
    ]
    imports = [
        source.place(node)
        for source in planner
        for node, module in imported_modules(source.tree)
        if module.partition(".")[0] in _IMPURE_MODULES
    ]

    assert (calls, imports) == ([], [])


def _open_points(source: Source) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT and _OPEN_POINT.search(token.string):
            yield f"{source.path}:{token.start[0]}"


def _swallowed_errors(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or all(map(_does_nothing, node.body))):
            yield source.place(node)
        if isinstance(node, ast.Call) and called_name(node) in {"suppress", "contextlib.suppress"}:
            caught = {argument.id for argument in node.args if isinstance(argument, ast.Name)}
            if caught & {"Exception", "BaseException"}:
                yield source.place(node)


def _stubs(source: Source) -> Iterator[str]:
    of_protocols = {
        id(method)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)
        for method in node.body
    }
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or id(node) in of_protocols:
            continue
        overload = any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        # A documented method that does nothing is a choice; a body of `...` or NotImplementedError is a gap.
        if not overload and (body or not ast.get_docstring(node)) and all(map(_is_gap, body)):
            yield source.place(node)


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or _is_ellipsis(statement)


def _is_gap(statement: ast.stmt) -> bool:
    unfinished = isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement)
    return unfinished or isinstance(statement, ast.Pass) or _is_ellipsis(statement)


def _is_ellipsis(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is Ellipsis
    )

"""docs/FAULTS.md names what shows each fault: all of that is there."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import REPOSITORY

_PAGE = REPOSITORY / "docs" / "FAULTS.md"
_ROW = re.compile(r"^\| (?!fault \||--- )(.+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
_SCENARIO = re.compile(r"`([^`]+)`")
_TEST = re.compile(r"\[([^]]+)\]")
_NAMED = re.compile(r'^\[([^]]+)\]: (\S+) "(\w+)"$', re.MULTILINE)


@pytest.fixture(scope="module")
def page() -> str:
    return _PAGE.read_text()


@pytest.fixture(scope="module")
def rows(page: str) -> list[tuple[str, ...]]:
    """Fault, what happens, scenarios, tests on real hosts."""
    found: list[tuple[str, ...]] = _ROW.findall(page)
    assert found
    return found


def test_every_scenario_of_the_table_is_there(rows: list[tuple[str, ...]]) -> None:
    named = {name for _, _, scenarios, _ in rows for name in _SCENARIO.findall(scenarios)}

    assert {name for name in named if not (REPOSITORY / "tests" / "scenarios" / name / "events.yaml").exists()} == set()


def test_every_fault_of_the_table_has_a_scenario(rows: list[tuple[str, ...]]) -> None:
    assert [fault for fault, _, scenarios, _ in rows if not _SCENARIO.findall(scenarios)] == []


def test_every_test_of_the_table_is_there_and_every_one_that_is_listed_is_used(
    page: str, rows: list[tuple[str, ...]]
) -> None:
    used = {name for _, _, _, tests in rows for name in _TEST.findall(tests)}
    listed = {name: (_PAGE.parent / path, test) for name, path, test in _NAMED.findall(page)}

    assert used == {*listed}
    assert [name for name, (path, test) in listed.items() if f"def {test}(" not in path.read_text()] == []

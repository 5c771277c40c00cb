"""docs/ATTACKS.md has a line for each attack, and each line its tests."""

from __future__ import annotations

import re

from tests.architecture.sources import REPOSITORY

_ROW = re.compile(r"^\| (\d+)\. (.+) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"^def test_(\d\d)_", re.MULTILINE)
_FILE = re.compile(r"`(?:tests/contract/)?(test_\w+\.py)`")


def _rows() -> dict[int, str]:
    return {int(number): line for number, _, line in _ROW.findall((REPOSITORY / "docs" / "ATTACKS.md").read_text())}


def test_every_attack_has_its_line() -> None:
    assert list(_rows()) == [*range(1, 39)]


def test_every_line_has_its_tests_by_number_or_names_them() -> None:
    files = (REPOSITORY / "tests" / "attacks").glob("test_*.py")
    tried = {int(number) for file in files for number in _TEST.findall(file.read_text())}

    assert tried <= _rows().keys()
    assert {number for number, line in _rows().items() if number not in tried and not _FILE.search(line)} == set()


def test_every_file_that_a_line_names_is_there() -> None:
    named = {name for line in _rows().values() for name in _FILE.findall(line)}

    assert {name for name in named if not (REPOSITORY / "tests" / "contract" / name).exists()} == set()

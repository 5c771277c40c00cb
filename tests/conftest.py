"""What every test may use."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the tests see into the golden files instead of comparing; the diff is the review",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the file of that name in `golden/` beside the test."""
    folder = Path(request.path).parent / "golden"
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        file = folder / name
        if update:
            folder.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        if not file.exists():
            pytest.fail(f"{file} is missing; look at what there is, then run pytest --update-golden")
        expected = file.read_text(encoding="utf-8")
        if text != expected:
            difference = "\n".join(
                difflib.unified_diff(expected.splitlines(), text.splitlines(), name, "now", lineterm="")
            )
            pytest.fail(f"{name} is not as in the golden file (pytest --update-golden writes it):\n{difference}")

    return compare

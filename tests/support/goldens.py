"""Golden files: what a test saw, beside what was looked at and found good."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def compare_with(file: Path, text: str, *, update: bool) -> None:
    """Fail with the difference unless `file` holds `text`; with `update`, write it instead."""
    if update:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return
    if not file.exists():
        pytest.fail(f"{file} is missing; look at what there is, then run pytest --update-golden")
    expected = file.read_text(encoding="utf-8")
    if text != expected:
        lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), file.name, "now", lineterm="")
        pytest.fail(
            f"{file.name} is not as in the golden file (pytest --update-golden writes it):\n" + "\n".join(lines)
        )

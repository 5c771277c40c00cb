from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.executor.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.ledger.close()


@pytest.fixture
def parallel(tmp_path: Path) -> Iterator[Bench]:
    """As `bench`, with actions at the same time."""
    made = Bench(tmp_path / "state", serial=False)
    yield made
    made.ledger.close()

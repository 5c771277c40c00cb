from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.fencing.rack import Rack


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    """A rack of well-behaved devices."""
    return Rack(tmp_path)

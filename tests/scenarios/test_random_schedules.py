"""Whatever happens in whatever order, every promise is kept, and nothing is lost in silence."""

from __future__ import annotations

import os

import pytest

from tests.scenarios.schedules import faults_of, write_down

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]  # a tracer makes it three times as long, and adds no line

NUMBER = int(os.environ.get("RECONCILER_SCHEDULES", "500"))
CHUNK = 50


@pytest.mark.parametrize("first", range(0, NUMBER, CHUNK))
def test_random_schedules_keep_every_promise(first: int) -> None:
    """A seed that goes wrong is written down as a folder, which `reconciler simulate` plays."""
    wrong = {seed: faults for seed in range(first, min(first + CHUNK, NUMBER)) if (faults := faults_of(seed))}

    assert {write_down(seed, faults): faults for seed, faults in wrong.items()} == {}

"""What every test may use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.support.goldens import compare_with

# How long an example takes says more of what else the machine is at than of the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

_LONGEST_FIRST: Final = (
    "lab/test_ha_doubt",
    "scenarios/test_random_schedules",
    "scenarios/test_crash_sweep",
    "lab/test_migration",
    "lab/test_crashes",
    "lab/test_main_job",
    "packaging/test_container",
    "scenarios/test_scenarios",
    "contract/test_running_guests",
    "lab/test_guest_health",
    "lab/test_ha",
    "lab/test_restore",
    "lab/test_increments",
    "lab/test_daemon",
)
"""A worker takes a whole module; whoever began a long one last would be waited for. Those that wait and those that
compute alternate."""

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the tests see into the golden files instead of comparing; the diff is the review",
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Keep the mark `no_cover` in pytest-xdist's workers too.

    pytest-cov 7.1 has two collectors there: pausing the one wakes the other, which traces on for nobody.
    """
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(here)
        threading.settrace(in_threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {module: number for number, module in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get("/".join(item.path.with_suffix("").parts[-2:]), len(rank)))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the file of that name in `golden/` beside the test."""
    folder = Path(request.path).parent / "golden"
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        compare_with(folder / name, text, update=update)

    return compare

"""The daemon of a scenario logs as a real one does; here its timeline is read instead."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module")  # what is tested next may listen to what is logged
def silence() -> Iterator[None]:
    """Have nothing written to the standard output."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)

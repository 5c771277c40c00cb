"""Everything here runs on real libvirt hosts, so all of it carries the `lab` mark."""

from pathlib import Path

import pytest

from tests.lab.fixtures import fenced_lab, fresh_lab, lab

__all__ = ["fenced_lab", "fresh_lab", "lab"]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.lab)

"""Surroundings of commands that are called from the outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.fence_world import World
from tests.unit.fencing.rack import Rack


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """An empty directory of specs."""
    directory = tmp_path / "fleet"
    directory.mkdir()
    return directory


@pytest.fixture
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RECONCILER_SPECS", "RECONCILER_CONFIG", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECONCILER_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def world(tmp_path: Path, specs: Path) -> World:
    """A fleet whose host h1 has a fence device; h2 has none."""
    assert specs.exists()
    (tmp_path / "rack").mkdir()
    rack = Rack(tmp_path / "rack")
    (tmp_path / "config.yaml").write_text(f"ha: {{agentDirectory: {rack.agents}, fenceTimeout: 5s}}\n")
    made = World(tmp_path, rack, rack.outlet("1"))
    made.write()
    for name in ("h1", "h2"):
        made.hosts.add_host(name)
    return made

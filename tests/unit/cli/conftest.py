"""Surroundings of commands that are called from the outside."""

from __future__ import annotations

from pathlib import Path

import pytest


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

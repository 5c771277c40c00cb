"""A look at the fleet pays for nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_without_an_etcd_nothing_that_speaks_to_one_is_imported(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    argv = ["plan", str(tmp_path / "specs"), "--state-dir", str(tmp_path / "state")]

    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reconciler", *argv], capture_output=True, text=True, check=False
    )

    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert "reconciler.planner.planner" in imported
    assert not {name for name in imported if name.partition(".")[0] in {"etcd3gw", "requests", "urllib3"}}
    assert not {name for name in imported if name.startswith("reconciler.leadership")}

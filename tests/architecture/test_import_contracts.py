"""The floors of the house hold, and the contracts that say so would notice if they did not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import REPOSITORY

_LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def _lint_imports(repository: Path) -> subprocess.CompletedProcess[str]:
    command = [str(_LINT_IMPORTS), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


def test_every_import_contract_is_kept() -> None:
    checked = _lint_imports(REPOSITORY)

    assert checked.returncode == 0, checked.stdout
    assert " 0 broken" in checked.stdout


def test_the_contracts_have_no_exceptions() -> None:
    contracts = (REPOSITORY / ".importlinter").read_text()

    assert "ignore" not in contracts


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("hypervisor/breach.py", "import reconciler.daemon.notify", "Imports only go down"),
        ("observe/breach.py", "import reconciler.planner.placement", "Imports only go down"),
        ("unlisted/__init__.py", "", "Imports only go down"),
        ("planner/breach.py", "import time", "The planner reaches model and errors"),
        ("planner/breach.py", "import reconciler.clock", "The planner reaches model and errors"),
        ("model/breach.py", "import reconciler.clock", "The model imports nothing of ours but errors"),
        ("observe/breach.py", "import libvirt", "One module speaks to libvirt"),
        ("executor/breach.py", "import sqlite3", "Only the ledger keeps a database"),
        ("daemon/breach.py", "import click", "Only the command line renders for people"),
        ("specfiles/breach.py", "import httpx2", "Only images speaks HTTP"),
    ],
)
def test_a_breach_breaks_its_contract(tmp_path: Path, module: str, statement: str, contract: str) -> None:
    shutil.copy(REPOSITORY / ".importlinter", tmp_path)
    shutil.copytree(REPOSITORY / "reconciler", tmp_path / "reconciler", ignore=shutil.ignore_patterns("__pycache__"))
    breach = tmp_path / "reconciler" / module
    breach.parent.mkdir(exist_ok=True)
    breach.write_text(f"{statement}\n")

    checked = _lint_imports(tmp_path)

    assert checked.returncode != 0
    assert any(line.startswith(contract) and line.endswith("BROKEN") for line in checked.stdout.splitlines())

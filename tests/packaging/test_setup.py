"""Setting up a checkout: what is said where it can't be done, and what is asked of apt."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPOSITORY = Path(__file__).parents[2]
_PACKAGES = _REPOSITORY / "packaging" / "debian-packages.txt"
_NOBODY = 65534


@pytest.fixture
def checkout() -> Iterator[Path]:
    """Just enough of a checkout to run its set-up, where any user may come; pytest's own folders are for root."""
    with tempfile.TemporaryDirectory() as folder:
        _copy_set_up(Path(folder))
        yield Path(folder)


def _copy_set_up(folder: Path) -> None:
    for name in ("scripts/setup.sh", "packaging/debian-packages.txt", "pyproject.toml", "constraints.txt"):
        copy = folder / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(_REPOSITORY / name, copy)


def _set_up(checkout: Path, user: int) -> subprocess.CompletedProcess[str]:
    """Run the set-up as ``user``; its folder is theirs."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as somebody else")
    os.chown(checkout, user, user)
    command = [str(checkout / "scripts" / "setup.sh")]
    return subprocess.run(command, capture_output=True, text=True, check=False, user=user, group=user, extra_groups=[])


def test_who_may_not_install_is_told_what_to_install(checkout: Path) -> None:
    packages = checkout / "packaging" / "debian-packages.txt"
    packages.write_text(packages.read_text() + "no-such-package  test  it never is installed\n")

    done = _set_up(checkout, _NOBODY)

    assert done.returncode == 1
    assert "apt-get install --no-install-recommends no-such-package\n" in done.stderr
    assert not (checkout / ".venv").exists()


def test_every_debian_package_has_its_reason() -> None:
    lines = [line.split(maxsplit=2) for line in _PACKAGES.read_text().splitlines() if line and not line.startswith("#")]

    assert [line for line in lines if len(line) != 3 or line[1] not in {"run", "test"}] == []

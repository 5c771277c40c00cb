"""What users install: a wheel with everything in it that the program reads, and a program that starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from reconciler import __version__

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the build backend as pip would, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=_REPOSITORY)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, str]:
    """The files of the wheel: name to text."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_every_file_of_the_package_is_in_the_wheel(contents: dict[str, str]) -> None:
    package = _REPOSITORY / "reconciler"
    wanted = {
        str(path.relative_to(_REPOSITORY))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in contents if name.startswith("reconciler/")} == wanted
    assert {"reconciler/py.typed", "reconciler/ledger/migrations/0001_first.sql"} <= wanted


def test_tests_stay_out_of_the_wheel(contents: dict[str, str]) -> None:
    folders = {name.partition("/")[0] for name in contents}

    assert folders == {"reconciler", f"reconciler-{__version__}.dist-info"}


def test_the_wheel_says_its_licence_and_what_it_is(contents: dict[str, str]) -> None:
    about = f"reconciler-{__version__}.dist-info"

    assert "License-Expression: Apache-2.0" in contents[f"{about}/METADATA"]
    assert "Description-Content-Type: text/markdown" in contents[f"{about}/METADATA"]
    assert "Apache License" in contents[f"{about}/licenses/LICENSE"]


@pytest.mark.slow
def test_an_installed_wheel_has_a_program_that_starts(tmp_path: Path, wheel: Path) -> None:
    environment = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", environment)
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python")
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # What it depends on is the concern of constraints.txt; here it is lent by the environment of the tests.
    lent = {**os.environ, "PYTHONPATH": _site_packages()}

    version = _run(environment / "bin" / "reconciler", "--version", cwd=tmp_path, env=lent)
    kinds = _run(environment / "bin" / "reconciler", "schema", cwd=tmp_path, env=lent)

    assert version == f"reconciler {__version__}\n"
    assert "VirtualMachine" in kinds


def test_every_dependency_has_its_pinned_version() -> None:
    pins = {_normal(line.partition("==")[0]) for line in _lines("constraints.txt") if "==" in line}
    asked = {_normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in _requirements()}

    assert asked <= pins


def test_pinned_versions_name_no_place_to_get_them_from() -> None:
    pins = [line for line in _lines("constraints.txt") if not line.startswith("#")]

    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def _requirements() -> list[str]:
    """What pyproject.toml asks for, dev included."""
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def _lines(name: str) -> list[str]:
    return (_REPOSITORY / name).read_text().splitlines()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _site_packages() -> str:
    return str(Path(pytest.__file__).parents[1])


def _run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    argv = [str(part) for part in command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout

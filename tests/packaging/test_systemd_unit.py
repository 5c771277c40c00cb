"""The service unit: tight, valid, and in accord with the user and folders that are made for it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.config import load_settings

_PACKAGING = Path(__file__).parents[2] / "packaging"
_UNIT = _PACKAGING / "systemd" / "reconciler.service"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


class _Unit(configparser.RawConfigParser):
    """A unit file: keys keep their case, and may be given more than once."""

    def __init__(self) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    unit = _Unit()
    unit.read(_UNIT)
    return unit["Service"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory where systemd has made our user and folders."""
    if os.geteuid() != 0:
        pytest.skip("only root can give folders to another user")
    root = tmp_path_factory.mktemp("root")
    for tool, *arguments in (("sysusers",), ("tmpfiles", "--create")):
        folder = root / "usr" / "lib" / f"{tool}.d"
        shutil.copytree(_PACKAGING / f"{tool}.d", folder)
        (root / "etc").mkdir(exist_ok=True)
        _run(f"systemd-{tool}", f"--root={root}", *arguments, "reconciler.conf")
    return root


def test_exposure_of_the_service_is_low() -> None:
    report = _run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", _UNIT)

    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert exposure is not None, report
    assert float(exposure[1]) <= 1.5


def test_systemd_accepts_every_line_of_the_unit(tmp_path: Path, service: configparser.SectionProxy) -> None:
    unit = tmp_path / _UNIT.name
    # Where the program is not installed, systemd would say only that.
    program = service["ExecStart"].split()[0]
    unit.write_text(re.sub(rf"^(Exec\w+)={program} ", r"\1=/usr/bin/true ", _UNIT.read_text(), flags=re.MULTILINE))

    complaints = _run("systemd-analyze", "verify", "--man=no", unit)

    assert complaints == ""


def test_connections_to_hosts_stay_possible(service: configparser.SectionProxy) -> None:
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}
    assert "PrivateNetwork" not in service
    assert "IPAddressDeny" not in service


def test_ssh_finds_its_keys_in_the_state_directory(installed: Path, service: configparser.SectionProxy) -> None:
    users = dict(line.split(":", 1) for line in (installed / "etc" / "passwd").read_text().splitlines())

    home = users[service["User"]].split(":")[4]

    assert home == f"/var/lib/{service['StateDirectory']}"
    assert (installed / home.lstrip("/") / ".ssh").stat().st_mode & 0o777 == 0o700


def test_the_service_may_use_the_local_hypervisor(installed: Path, service: configparser.SectionProxy) -> None:
    groups = {line.split(":")[0]: line.split(":")[3] for line in (installed / "etc" / "group").read_text().splitlines()}

    assert service["User"] in groups["libvirt"].split(",")


def test_secrets_are_readable_by_root_only(installed: Path, service: configparser.SectionProxy) -> None:
    credentials = installed / service["LoadCredential"].partition(":")[2].lstrip("/")

    found = credentials.stat()

    assert (found.st_mode & 0o777, found.st_uid) == (0o700, 0)


def test_the_shipped_configuration_names_the_folder_of_specs(installed: Path) -> None:
    folder = installed / "etc" / "reconciler"
    shutil.copy(_PACKAGING / "config.yaml", folder)

    settings = load_settings({}, {}, config_file=folder / "config.yaml")

    assert settings.specs_directory() == folder / "specs"
    assert settings.specs_directory().is_dir()


def _run(*command: str | Path) -> str:
    """Output and complaints of a command that must succeed."""
    argv = [str(part) for part in command]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout

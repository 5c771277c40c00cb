"""The service unit under a real systemd, with all its restrictions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[1]
_OWN_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-nspawn") is None, reason="needs root and systemd-container"
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a probe saw when it started and stopped the service: files `running`, `stopped`, `state`, `journal`."""
    out = tmp_path_factory.mktemp("systemd")
    wants = {"NAME": f"probe-{os.getpid()}", "REPOSITORY": str(_REPOSITORY), "VENV": sys.prefix, "OUT": str(out)}
    command = [*_OWN_NAMESPACES, "sh", str(_HERE / "boot_systemd.sh")]
    booted = subprocess.run(command, env={**os.environ, **wants}, capture_output=True, text=True, check=False)
    assert (out / "journal").exists(), (booted.stdout + booted.stderr)[-4000:]
    return out


def test_the_daemon_becomes_ready_and_says_how_things_are(found: Path) -> None:
    running = _properties(found / "running")

    assert (running["ActiveState"], running["SubState"], running["NRestarts"]) == ("active", "running", "0")
    assert "can't see h1, h2, h3" in running["StatusText"]


def test_stopping_the_daemon_is_a_success(found: Path) -> None:
    stopped = _properties(found / "stopped")

    assert (stopped["ActiveState"], stopped["Result"], stopped["ExecMainStatus"]) == ("inactive", "success", "0")


def test_state_is_for_the_service_alone(found: Path) -> None:
    state = [line.split() for line in (found / "state").read_text().splitlines()]

    assert {(owner, mode) for owner, mode, _ in state} == {("reconciler", "700"), ("reconciler", "600")}
    assert "/var/lib/reconciler/ledger.sqlite3" in {path for _, _, path in state}


@pytest.mark.parametrize(
    "observation",
    [
        "user: reconciler",
        "credential: password-of-h1",
        "original of the credential: hidden",
        "socket of the group libvirt: readable",
        "etc: read-only",
        "ssh: OpenSSH",
        "userknownhostsfile /var/lib/reconciler/.ssh/known_hosts /var/lib/reconciler/.ssh/known_hosts2",
        "git: git version",
    ],
)
def test_the_service_can_do_what_it_needs_and_no_more(found: Path, observation: str) -> None:
    assert observation in (found / "journal").read_text().splitlines()


def _properties(file: Path) -> dict[str, str]:
    """What `systemctl show` printed."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())

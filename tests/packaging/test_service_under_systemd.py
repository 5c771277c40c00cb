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
    """What a probe saw, which did to the service what happens to services: a file for each of its looks."""
    out = tmp_path_factory.mktemp("systemd")
    wants = {"NAME": f"probe-{os.getpid()}", "REPOSITORY": str(_REPOSITORY), "VENV": sys.prefix, "OUT": str(out)}
    wants["PROBE"] = str(_HERE / "probe_service.sh")
    command = [*_OWN_NAMESPACES, "sh", str(_HERE / "boot_systemd.sh")]
    booted = subprocess.run(command, env={**os.environ, **wants}, capture_output=True, text=True, check=False)
    assert (out / "journal-rebooted").exists(), (booted.stdout + booted.stderr)[-4000:]
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


def test_a_reload_takes_up_what_changed_and_refuses_what_can_not_be_used(found: Path) -> None:
    """`systemctl reload` says so by its exit code, and the service goes on with what it has."""
    codes = [(found / name).read_text().strip() for name in ("reload", "reload-refused")]
    after = _properties(found / "after-reloads")

    assert codes == ["0", "1"]
    assert '"event": "config.reloaded"' in (found / "journal").read_text()
    assert "flete is no setting" in (found / "journal").read_text()
    assert (after["ActiveState"], after["NRestarts"]) == ("active", "0")


def test_what_only_people_can_mend_ends_it_for_good_and_is_told(found: Path) -> None:
    broken = _properties(found / "misconfigured")

    assert (broken["ActiveState"], broken["ExecMainStatus"], broken["NRestarts"]) == ("failed", "78", "0")
    assert "flete is no setting → did you mean fleet?" in broken["StatusText"]


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_a_daemon_that_is_killed_or_hangs_is_started_again(found: Path, how: str) -> None:
    again = _properties(found / how)

    assert (again["ActiveState"], again["SubState"]) == ("active", "running")
    assert again["NRestarts"] == {"killed": "1", "hung": "2"}[how]


@pytest.mark.parametrize("when", ["full", "full-at-start"])
def test_a_full_disk_is_told_and_waited_for(found: Path, when: str) -> None:
    full = _properties(found / when)

    assert (full["ActiveState"], full["NRestarts"]) == ("active", "0")
    assert "no space is left for it → make room on the file system of /var/lib/reconciler" in full["StatusText"]
    assert "can't see h1, h2, h3" in _properties(found / "freed")["StatusText"]


def test_a_read_only_disk_is_told_and_tried_again(found: Path) -> None:
    refused = _properties(found / "read-only")

    assert "look why the file system of /var/lib/reconciler is read-only" in refused["StatusText"]
    assert refused["ActiveState"] in ("activating", "active")
    assert "can't see h1, h2, h3" in _properties(found / "writable")["StatusText"]


def test_after_a_power_cut_it_comes_up_by_itself_and_has_forgotten_nothing(found: Path) -> None:
    rebooted = _properties(found / "rebooted")

    assert (rebooted["ActiveState"], rebooted["SubState"], rebooted["NRestarts"]) == ("active", "running", "0")
    assert "VirtualMachine/web-1" in (found / "resumed").read_text()
    assert "not held" not in (found / "resumed").read_text()


def _properties(file: Path) -> dict[str, str]:
    """What `systemctl show` printed."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())

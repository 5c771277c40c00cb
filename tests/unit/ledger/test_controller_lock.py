"""One controller at a time per state directory."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import ControllerRunning, StateError
from reconciler.ledger.controller_lock import LOCK_FILE, ControllerLock, controller_holder

HOLD_UNTIL_KILLED = """
import sys, pathlib
from reconciler.clock import SystemClock
from reconciler.ledger.controller_lock import ControllerLock
with ControllerLock(pathlib.Path(sys.argv[1]), "run", SystemClock()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_controller_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with (
        ControllerLock(tmp_path, "apply", SystemClock()),
        pytest.raises(ControllerRunning, match=rf"`reconciler apply` \(pid {os.getpid()}, since \d{{4}}-"),
        ControllerLock(tmp_path, "run", SystemClock()),
    ):
        pytest.fail("two controllers at once")


def test_directory_is_free_after_the_controller_ended(tmp_path: Path) -> None:
    with ControllerLock(tmp_path, "apply", SystemClock()):
        assert controller_holder(tmp_path) is not None

    assert controller_holder(tmp_path) is None
    with ControllerLock(tmp_path, "run", SystemClock()):
        assert "reconciler run" in str(controller_holder(tmp_path))


def test_killed_controller_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert f"pid {process.pid}" in str(controller_holder(tmp_path))

    process.kill()
    process.communicate()

    with ControllerLock(tmp_path, "apply", SystemClock()):
        assert f"pid {os.getpid()}" in str(controller_holder(tmp_path))


def test_holder_that_has_not_written_its_name_still_holds(tmp_path: Path) -> None:
    with ControllerLock(tmp_path, "apply", SystemClock()):
        (tmp_path / LOCK_FILE).write_text("")

        assert controller_holder(tmp_path) == "another controller (just starting)"


def test_controller_is_not_refused_because_somebody_just_asks_who_controls(tmp_path: Path) -> None:
    """Asking takes a shared lock for a moment."""
    (tmp_path / LOCK_FILE).touch()
    asking = os.open(tmp_path / LOCK_FILE, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)

    class Asked(SystemClock):
        def wait(self, event: threading.Event, timeout: float) -> bool:
            fcntl.flock(asking, fcntl.LOCK_UN)
            return super().wait(event, timeout)

    with ControllerLock(tmp_path, "apply", Asked()):
        os.close(asking)
        assert "reconciler apply" in str(controller_holder(tmp_path))


def test_lock_that_cannot_say_who_holds_it_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StateError, match="No space left"), ControllerLock(tmp_path, "apply", SystemClock()):
            pytest.fail("held without a name")

    assert controller_holder(tmp_path) is None


def test_lock_file_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StateError), ControllerLock(tmp_path, "apply", SystemClock()):
        pytest.fail("followed a symlink")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "make room"), (errno.EROFS, "read-only"), (errno.EACCES, "run as the user that owns")],
)
def test_a_lock_file_that_cannot_be_opened_names_its_own_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(StateError) as caught:
        ControllerLock(tmp_path, "apply", SystemClock()).__enter__()
    assert advice in caught.value.hint

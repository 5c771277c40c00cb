"""What systemd is told, over a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.daemon.notify import ServiceManager


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A socket that listens as systemd's does."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(5)
        yield path, listening


def test_readiness_comes_with_a_sentence(systemd: tuple[str, socket.socket]) -> None:
    """READY=1 and one line of status, whatever line breaks the sentence had."""
    path, listening = systemd

    ServiceManager(path).ready("6 VMs,\n6 running")

    assert listening.recv(1024) == b"READY=1\nSTATUS=6 VMs, 6 running"


def test_the_watchdog_is_fed(systemd: tuple[str, socket.socket]) -> None:
    """WATCHDOG=1 is the ping."""
    path, listening = systemd

    ServiceManager(path).alive()

    assert listening.recv(1024) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_said() -> None:
    """Started by hand, there is nobody to tell, and that is no error."""
    ServiceManager("").ready("6 VMs")


def test_a_systemd_that_went_away_is_no_error(tmp_path: Path) -> None:
    """What systemd is told never decides anything."""
    ServiceManager(str(tmp_path / "gone")).status("6 VMs")


def test_the_watchdog_interval_is_half_of_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As sd_watchdog_enabled(3) recommends."""
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")

    assert ServiceManager.watchdog_interval() == 15.0

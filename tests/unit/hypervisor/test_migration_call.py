"""A migration is asked for at once, or never: what was given up is not begun by a host that goes on after all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import HostTimeout, HostUnreachable, LeadLost
from reconciler.hypervisor import host_migration
from reconciler.hypervisor.host_migration import LibvirtCall
from reconciler.hypervisor.libvirt_binding import LibvirtError
from reconciler.model.migration import MigrationRules
from reconciler.model.steps import MigrateDomain
from tests.lab.waiting import wait_for


class HangingHost:
    """A libvirtd that lets nobody in before it `goes_on`, and what it was asked then."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.asked: list[str] = []
        self.connection = self
        self.error: LibvirtError | None = None
        self.is_up = True

    def open(self, _uri: str, _on_end: Callable[[Any, Any], None]) -> HangingHost:
        self.goes_on.wait(30)
        return self

    def lookupByUUIDString(self, _uuid: str) -> HangingHost:  # noqa: N802  libvirt's name
        return self

    def migrateToURI3(self, peer: str, _parameters: dict[str, Any], _flags: int) -> None:  # noqa: N802  libvirt's name
        self.asked.append(peer)
        if self.error is not None:
            raise self.error

    def is_alive(self) -> bool:
        return self.is_up

    def release(self) -> None:
        """Nothing is held."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> HangingHost:
    host = HangingHost()
    monkeypatch.setattr(host_migration.lv.Session, "open", host.open)
    monkeypatch.setattr(host_migration.lv, "keep_alive", lambda *_: None)
    return host


def call(uri: str = "qemu:///system", before: Callable[[], None] = lambda: None) -> LibvirtCall:
    """A migration over a connection of its own."""
    step = MigrateDomain("web-1", "uuid", "h1", "h2", 2, "qemu+tls://h2/system", MigrationRules(60.0, 30.0))
    return LibvirtCall("h1", uri, step, {}, 0, before)


def test_a_host_that_hangs_is_never_asked_once_that_was_given_up(host: HangingHost) -> None:
    """It goes on later, when the VM may long be elsewhere."""
    late = call()
    with pytest.raises(HostTimeout, match="never asked for"):
        late.wait_until_asked(0.1)

    host.goes_on.set()

    wait_for(lambda: late.ended, 30, "the call does not end")
    assert host.asked == []


def test_a_lead_that_is_lost_while_it_connects_keeps_libvirt_from_being_asked(host: HangingHost) -> None:
    def lost() -> None:
        raise LeadLost("c1 does not lead any more")

    late = call(before=lost)
    host.goes_on.set()

    with pytest.raises(LeadLost):
        late.wait_until_asked(30)
    wait_for(lambda: late.ended, 30, "the call does not end")
    assert host.asked == []


def test_a_host_that_answers_is_asked_once(host: HangingHost) -> None:
    host.goes_on.set()

    asked = call()

    asked.wait_until_asked(30)
    wait_for(lambda: asked.ended, 30, "the call does not end")
    assert host.asked == ["qemu+tls://h2/system"]
    assert asked.error is None


@pytest.mark.parametrize("is_up", [True, False])
def test_an_error_that_comes_as_the_connection_ends_says_nothing_of_what_its_source_does(
    host: HangingHost, *, is_up: bool
) -> None:
    host.error, host.is_up = LibvirtError("no route to the target"), is_up
    host.goes_on.set()

    asked = call()

    wait_for(lambda: asked.ended, 30, "the call does not end")
    assert asked.error is not None
    assert asked.is_answered == is_up


def test_a_host_that_can_not_be_reached_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(HostUnreachable):
        call(f"test+unix:///default?socket={tmp_path}/none").wait_until_asked(30)

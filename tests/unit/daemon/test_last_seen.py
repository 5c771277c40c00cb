"""When a host was last seen is known after a restart of the controller too: a human confirms a death by it."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from reconciler.daemon.last_seen import note_seen
from tests.unit.daemon.test_health_keeper import Kept


def seen(kept: Kept) -> float:
    at = kept.ledger.view().health["h1"].last_seen
    assert at is not None
    return at


def test_a_host_that_stays_online_is_noted_as_seen_once_a_minute(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.pass_seconds(5)
    first = seen(kept)

    kept.pass_seconds(30)
    assert seen(kept) == first
    kept.pass_seconds(31)

    assert seen(kept) > first + 60


def test_after_a_restart_the_incident_says_when_the_host_was_last_seen_before_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.pass_seconds(5)
    kept.pass_seconds(300)
    stopped_at = kept.watched.clock.now()
    kept.watched.fleet.cut_network("h1")

    kept.begin()
    for _ in range(15):
        view = kept.pass_seconds(1)

    last_seen = view.incidents["h1"].last_seen
    assert last_seen is not None
    assert stopped_at - last_seen <= 60


def test_a_silent_host_is_not_noted_as_seen(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.lose()
    before = seen(kept)

    kept.pass_seconds(300)

    assert seen(kept) == before


def test_what_an_apply_has_read_counts_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.pass_seconds(5)
    at = seen(kept) + 500
    inventory = kept.inventory()
    read = replace(inventory, hosts={name: replace(host, observed_at=at) for name, host in inventory.hosts.items()})

    note_seen(kept.ledger, read, kept.ledger.view())

    assert seen(kept) == at
    assert kept.state() == "online"

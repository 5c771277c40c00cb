"""Who stands by is known from etcd, as long as it is alive."""

from __future__ import annotations

import pytest

from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.keys import keys_of
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.leadership.standbys import Presence, Standby, standbys_of

KEYS = keys_of("/reconciler", "lab")


class Ground:
    """One that stands by, and somebody who looks."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = SimulatedCluster(self.clock)
        self.own = SimulatedStore(self.cluster)
        self.me = Standby("c2", "c2/b", "machine-2", 7, 0.0, "content-1")
        self.presence = Presence(self.own, KEYS, self.clock, lambda: self.me)

    def stands_by(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.presence.keep()
            self.clock.advance(1.0)

    def names(self) -> list[str]:
        return [each.name for each in standbys_of(SimulatedStore(self.cluster), KEYS)]


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_who_stands_by_is_listed_for_as_long_as_it_does(ground: Ground) -> None:
    ground.stands_by(300)

    assert ground.names() == ["c2"]


def test_once_told_it_costs_no_revision(ground: Ground) -> None:
    ground.stands_by(1)
    before = ground.cluster.revision
    ground.stands_by(300)

    assert ground.cluster.revision == before


def test_one_that_died_is_gone_soon(ground: Ground) -> None:
    ground.stands_by(5)
    ground.clock.advance(31.0)

    assert ground.names() == []


def test_one_that_was_paused_is_listed_again(ground: Ground) -> None:
    ground.stands_by(5)
    ground.clock.advance(600.0)
    ground.stands_by(1)

    assert ground.names() == ["c2"]


def test_one_that_leads_or_stops_is_gone_at_once(ground: Ground) -> None:
    ground.stands_by(5)
    ground.presence.close()

    assert ground.names() == []


def test_other_specs_are_told(ground: Ground) -> None:
    ground.stands_by(5)
    ground.me = Standby("c2", "c2/b", "machine-2", 7, 0.0, "content-2")
    ground.stands_by(1)

    (told,) = standbys_of(ground.own, KEYS)
    assert told.generation == "content-2"
    assert "specs content-2" in str(told)


def test_an_etcd_that_does_not_answer_is_no_matter(ground: Ground) -> None:
    ground.cluster.stop()
    ground.stands_by(60)
    ground.cluster.start()
    ground.stands_by(20)

    assert ground.names() == ["c2"]

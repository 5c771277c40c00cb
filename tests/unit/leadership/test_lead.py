"""A lead ends by its own clock before etcd gives it to another, and never comes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.errors import LeadLost, StoreUnavailable, StoreWentBack
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.candidate import Candidate, leader_of
from reconciler.leadership.keys import keys_of
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.leadership.store import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.leadership.store import Guard, Written

KEYS = keys_of("/reconciler", "lab")
ROW = [Change(f'{KEYS.rows}paused/["fleet"]', "{}")]


class SlowStore(SimulatedStore):
    """Every answer takes its time: the question arrives at once, the answer late."""

    def __init__(self, cluster: SimulatedCluster, clock: FakeClock) -> None:
        super().__init__(cluster)
        self._own_clock = clock
        self.seconds = 0.0

    def grant(self, seconds: int) -> int:
        lease = super().grant(seconds)
        self._own_clock.advance(self.seconds)
        return lease

    def keep_alive(self, lease: int) -> float:
        seconds = super().keep_alive(lease)
        self._own_clock.advance(self.seconds)
        return seconds

    def change(self, guard: Guard, changes: Sequence[Change]) -> Written:
        written = super().change(guard, changes)
        self._own_clock.advance(self.seconds)
        return written


class Ground:
    """One candidate on one etcd, in time that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.cluster = SimulatedCluster(self.clock)
        self.store = SlowStore(self.cluster, self.clock)
        position = SeenPosition(folder, self.store.name)
        self.candidate = Candidate("c1", "run", self.store, KEYS, position, self.clock, 10)

    def lead(self) -> Lead:
        lead = self.candidate.stand()
        assert isinstance(lead, Lead)
        return lead


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_the_deadline_is_reckoned_from_before_the_question_was_sent(ground: Ground) -> None:
    ground.store.seconds = 2.0
    asked_at = ground.clock.monotonic()

    lead = ground.lead()

    assert lead.deadline == asked_at + 9.0


def test_it_ends_at_its_deadline_while_etcd_still_holds_the_key(ground: Ground) -> None:
    lead = ground.lead()
    ground.clock.advance(9.0)

    with pytest.raises(LeadLost, match="has not confirmed it in time"):
        lead.check()

    assert [item.key for item in ground.store.read(KEYS.leader).items] == [KEYS.leader]


def test_once_lost_it_stays_lost(ground: Ground) -> None:
    lead = ground.lead()
    reasons: list[str] = []
    lead.on_loss(reasons.append)
    ground.clock.advance(9.0)
    lead.poll()

    with pytest.raises(LeadLost):
        lead.renew()
    with pytest.raises(LeadLost):
        lead.change(ROW)

    assert len(reasons) == 1
    assert ground.store.read(KEYS.rows).items == ()


def test_one_that_is_lost_is_not_looked_at_again_and_again(ground: Ground) -> None:
    lead = ground.lead()
    ground.clock.advance(20.0)
    lead.poll()

    assert lead.poll() > 1.0


def test_each_renewal_moves_the_deadline(ground: Ground) -> None:
    lead = ground.lead()
    for _ in range(40):
        ground.clock.advance(lead.poll())

    lead.check()
    assert lead.deadline > 90


def test_a_renewal_that_is_answered_after_the_deadline_is_none(ground: Ground) -> None:
    lead = ground.lead()
    ground.clock.advance(5.0)
    ground.store.seconds = 5.0

    with pytest.raises(LeadLost):
        lead.renew()


def test_without_an_answer_it_tries_again_and_is_over_at_the_deadline(ground: Ground) -> None:
    lead = ground.lead()
    reasons: list[str] = []
    lead.on_loss(reasons.append)
    ground.clock.advance(lead.poll())
    ground.store.is_cut = True
    while not reasons:
        pause = lead.poll()
        assert reasons or pause <= 0.5
        ground.clock.advance(0.0 if reasons else pause)

    assert ground.clock.monotonic() == pytest.approx(9.0, abs=0.01)


def test_a_blink_of_etcd_does_not_end_it(ground: Ground) -> None:
    lead = ground.lead()
    ground.clock.advance(3.0)
    ground.store.is_cut = True
    lead.poll()
    ground.clock.advance(3.0)
    ground.store.is_cut = False
    lead.poll()
    ground.clock.advance(5.0)

    lead.check()


def test_a_key_that_somebody_removed_ends_it_though_its_lease_lives(ground: Ground) -> None:
    lead = ground.lead()
    del ground.cluster.values[KEYS.leader]

    with pytest.raises(LeadLost, match="its key in etcd was removed"):
        lead.renew()


def test_a_change_that_waited_beyond_the_deadline_must_not_be_acted_on(ground: Ground) -> None:
    lead = ground.lead()
    ground.clock.advance(5.0)
    ground.store.seconds = 5.0

    with pytest.raises(LeadLost):
        lead.change(ROW)


def test_a_change_whose_answer_is_lost_leaves_the_lead_alone(ground: Ground) -> None:
    lead = ground.lead()
    ground.store.loses_replies = True

    with pytest.raises(StoreUnavailable):
        lead.change(ROW)

    lead.change(ROW)


def test_an_etcd_that_was_put_back_ends_it(ground: Ground) -> None:
    backup = ground.cluster.backup()
    lead = ground.lead()
    lead.change(ROW)
    leases = dict(ground.cluster.leases)
    ground.cluster.restore(backup)
    ground.cluster.leases = leases

    with pytest.raises(StoreWentBack):
        lead.renew()
    with pytest.raises(LeadLost, match="is not what it was"):
        lead.check()


def test_a_candidate_that_was_not_told_leaves_no_key_behind(ground: Ground) -> None:
    ground.store.loses_replies = True

    with pytest.raises(StoreUnavailable):
        ground.candidate.stand()

    assert ground.store.read(KEYS.leader).items == ()
    ground.lead().check()


def test_a_change_that_was_long_on_its_way_does_not_undo_what_came_after_it(ground: Ground) -> None:
    lead = ground.lead()
    ground.store.delays_next = True
    with pytest.raises(StoreUnavailable):
        lead.change([Change(f"{KEYS.rows}x", "old")])
    lead.change([Change(f"{KEYS.rows}x", "new")])

    ground.store.arrive()

    assert [item.value for item in ground.store.read(KEYS.rows).items] == ["new"]
    lead.change([Change(f"{KEYS.rows}x", "newer")])


def test_one_that_arrives_before_it_is_done_again_does_not_end_the_lead(ground: Ground) -> None:
    lead = ground.lead()
    ground.store.delays_next = True
    with pytest.raises(StoreUnavailable):
        lead.change([Change(f"{KEYS.rows}x", "old")])
    ground.store.arrive()

    lead.change([Change(f"{KEYS.rows}x", "new")])

    assert [item.value for item in ground.store.read(KEYS.rows).items] == ["new"]


def test_the_leader_key_names_the_same_term_however_often_it_is_written(ground: Ground) -> None:
    lead = ground.lead()
    for number in range(3):
        lead.change([Change(f"{KEYS.rows}x", str(number))])

    assert leader_of(ground.store, KEYS) == lead.leader

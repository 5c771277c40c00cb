"""What a leader relies on in etcd: the same of a real one and of the simulated one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import LeadLost, StoreUnavailable, StoreWentBack
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.candidate import Candidate, accept_store, leader_of
from reconciler.leadership.keys import Leader, keys_of
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.simulated_store import Backup, SimulatedCluster, SimulatedStore
from reconciler.leadership.store import CHANGES_AT_ONCE, Change, Guard, Store
from tests.support.etcd import EtcdServer, why_no_etcd

LEASE = 2
KEYS = keys_of("/reconciler", "lab")


class Simulated:
    """A simulated etcd, in time that passes when it is waited for."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        self._cluster = SimulatedCluster(self._clock)
        self._saved: Backup | None = None

    def store(self) -> Store:
        return SimulatedStore(self._cluster)

    def until(self, happens: Callable[[], bool]) -> None:
        for _ in range(100):
            if happens():
                return
            self._clock.advance(0.5)
        raise AssertionError("it never happens")

    def down(self) -> None:
        self._cluster.stop()

    def save(self) -> None:
        self._saved = self._cluster.backup()

    def put_back(self) -> None:
        assert self._saved is not None
        self._cluster.restore(self._saved)

    def close(self) -> None:
        """Nothing is left."""


class Real:
    """A real etcd of one member."""

    def __init__(self, folder: Path) -> None:
        self._server = EtcdServer(folder)
        self._server.start()

    def store(self) -> Store:
        return self._server.store()

    def until(self, happens: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not happens():
            assert time.monotonic() < deadline, "it never happens"
            time.sleep(0.1)

    def down(self) -> None:
        self._server.stop()

    def save(self) -> None:
        self._server.stop()
        self._server.save()
        self._server.start()

    def put_back(self) -> None:
        self._server.stop()
        self._server.put_back()
        self._server.start()

    def close(self) -> None:
        self._server.stop()


@pytest.fixture(params=["simulated", "etcd"])
def etcd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Simulated | Real]:
    """Each implementation in turn, empty."""
    if request.param == "simulated":
        yield Simulated()
        return
    reason = why_no_etcd()
    if reason is not None:
        pytest.skip(reason)
    real = Real(tmp_path)
    try:
        yield real
    finally:
        real.close()


def candidate(etcd: Simulated | Real, name: str, folder: Path, clock: FakeClock | None = None) -> Candidate:
    """With a clock of its own that stands still: what refuses it then is etcd alone."""
    (folder / name).mkdir(exist_ok=True)
    store = etcd.store()
    return Candidate(name, "run", store, KEYS, SeenPosition(folder / name, store.name), clock or FakeClock(), LEASE)


def test_a_change_is_all_there_at_one_revision_and_a_failed_guard_changes_nothing(etcd: Simulated | Real) -> None:
    store = etcd.store()
    before = store.read("/a/").position

    made = store.change(Guard("/a/x", 0), [Change("/a/x", "1"), Change("/a/y", "é\n")])
    refused = store.change(Guard("/a/x", 0), [Change("/a/x", "2"), Change("/a/y", None)])
    changed = store.change(Guard("/a/x", made.position.revision), [Change("/a/x", "3"), Change("/a/y", None)])

    assert (made.held, refused.held, changed.held) == (True, False, True)
    assert before.revision < made.position.revision == refused.position.revision < changed.position.revision
    after = store.read("/a/")
    assert [(item.key, item.value, item.created) for item in after.items] == [("/a/x", "3", made.position.revision)]
    assert after.position == changed.position


def test_only_what_begins_with_the_prefix_is_read_however_much_it_is(etcd: Simulated | Real) -> None:
    store = etcd.store()
    keys = [f"/many/{number:05d}" for number in range(25 * CHANGES_AT_ONCE)]
    for start in range(0, len(keys), CHANGES_AT_ONCE):
        store.change(Guard("/none", 0), [Change(key, "x" * 100) for key in keys[start : start + CHANGES_AT_ONCE]])
    store.change(Guard("/none", 0), [Change("/many", "no"), Change("/many0", "no")])

    assert [item.key for item in store.read("/many/").items] == keys


def test_a_key_goes_with_its_lease_and_stays_while_that_is_kept_alive(etcd: Simulated | Real) -> None:
    store = etcd.store()
    kept, left, revoked = store.grant(LEASE), store.grant(LEASE), store.grant(LEASE)
    for name, lease in (("kept", kept), ("left", left), ("revoked", revoked)):
        store.change(Guard("/none", 0), [Change(f"/l/{name}", "", lease)])
    store.revoke(revoked)
    store.revoke(revoked)

    def only_one_is_left() -> bool:
        assert store.keep_alive(kept) == LEASE
        return [item.key for item in store.read("/l/").items] == ["/l/kept"]

    etcd.until(only_one_is_left)
    assert store.keep_alive(left) == 0


def test_one_that_does_not_answer_is_told_by_its_endpoint(etcd: Simulated | Real) -> None:
    store = etcd.store()
    etcd.down()

    with pytest.raises(StoreUnavailable) as caught:
        store.change(Guard("/a", 0), [Change("/a", "1")])

    assert store.name in caught.value.message
    assert "nothing is changed" in caught.value.hint


def test_one_candidate_leads_and_the_others_learn_who(etcd: Simulated | Real, tmp_path: Path) -> None:
    lead = candidate(etcd, "c1", tmp_path).stand()
    other = candidate(etcd, "c2", tmp_path).stand()

    assert isinstance(lead, Lead)
    assert isinstance(other, Leader)
    assert (other.name, other.term) == ("c1", lead.leader.term)


def test_terms_grow_and_a_lead_that_is_given_up_is_free_at_once(etcd: Simulated | Real, tmp_path: Path) -> None:
    first = candidate(etcd, "c1", tmp_path).stand()
    assert isinstance(first, Lead)
    first.give_up()

    second = candidate(etcd, "c2", tmp_path).stand()

    assert isinstance(second, Lead)
    assert second.leader.term > first.leader.term


def test_etcd_itself_refuses_who_led_before(etcd: Simulated | Real, tmp_path: Path) -> None:
    """Its own clock stands still, as that of a machine that was paused: it takes itself for the leader."""
    store = etcd.store()
    first = candidate(etcd, "c1", tmp_path).stand()
    assert isinstance(first, Lead)
    etcd.until(lambda: leader_of(store, KEYS) is None)
    second = candidate(etcd, "c2", tmp_path).stand()
    assert isinstance(second, Lead)

    with pytest.raises(LeadLost, match="c1 does not lead any more"):
        first.change([Change(f"{KEYS.rows}placement/[1]", "mine")])

    assert store.read(KEYS.rows).items == ()
    with pytest.raises(LeadLost):
        first.check()
    second.change([Change(f"{KEYS.rows}placement/[1]", "mine")])


def test_a_lead_whose_lease_ended_is_not_renewed(etcd: Simulated | Real, tmp_path: Path) -> None:
    store = etcd.store()
    lead = candidate(etcd, "c1", tmp_path).stand()
    assert isinstance(lead, Lead)
    etcd.until(lambda: leader_of(store, KEYS) is None)

    with pytest.raises(LeadLost, match="its lease has ended"):
        lead.renew()


def test_one_that_was_put_back_is_not_believed_until_a_human_accepts_it(etcd: Simulated | Real, tmp_path: Path) -> None:
    store = etcd.store()
    store.change(Guard("/none", 0), [Change("/early", "1")])
    etcd.save()
    for number in range(5):
        store.change(Guard("/none", 0), [Change("/late", str(number))])
    lead = candidate(etcd, "c1", tmp_path).stand()
    assert isinstance(lead, Lead)
    lead.give_up()
    etcd.put_back()
    again = candidate(etcd, "c1", tmp_path)

    with pytest.raises(StoreWentBack, match=r"its revision was \d+, and is \d+") as caught:
        again.stand()
    for number in range(20):  # it grows beyond what was seen, and is not believed for that
        store.change(Guard("/none", 0), [Change("/later", str(number))])
    with pytest.raises(StoreWentBack):
        again.stand()
    assert "reconciler leader --accept-store" in caught.value.hint

    accept_store(store, KEYS, again.position)
    assert isinstance(again.stand(), Lead)

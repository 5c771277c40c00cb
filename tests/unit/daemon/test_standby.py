"""Standing by tells what is wrong, once each."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from reconciler.daemon.standby import StandBy
from reconciler.errors import LedgerConflict
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.candidate import Candidate
from reconciler.leadership.keys import keys_of
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore

KEYS = keys_of("/reconciler", "lab")


class _World:
    """Two controllers; the first one leads, and the other one stands by for a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = SimulatedStore(SimulatedCluster(self.clock))
        self.sentences: list[str] = []

    def candidate(self, name: str, machine: str) -> Candidate:
        state = self.folder / machine
        state.mkdir()
        return Candidate(name, "run", self.store, KEYS, SeenPosition(state, "etcd"), self.clock, 10, id=machine)

    def stand_by(self, candidate: Candidate, lead: Lead | None = None) -> list[str]:
        """The events that are logged."""
        stop = threading.Event()
        looks = iter(range(60))

        def tell(sentence: str) -> None:
            self.sentences.append(sentence)
            if lead is not None:
                lead.renew()
            if next(looks, None) is None:
                stop.set()

        def rule(lead: Lead) -> None:
            raise AssertionError(f"{lead.leader} leads")

        with structlog.testing.capture_logs() as logs:
            StandBy(candidate, self.clock, rule, tell).run(stop)
        return [line["event"] for line in logs]


def test_a_leader_of_the_same_name_on_another_machine_is_warned_of_once(tmp_path: Path) -> None:
    world = _World(tmp_path)
    lead = world.candidate("c1", "one").stand()
    assert isinstance(lead, Lead)

    assert world.stand_by(world.candidate("c1", "two"), lead) == ["standby", "standby.namesake"]


def test_a_leader_of_another_name_is_as_it_should_be(tmp_path: Path) -> None:
    world = _World(tmp_path)
    lead = world.candidate("c1", "one").stand()
    assert isinstance(lead, Lead)

    assert world.stand_by(world.candidate("c2", "two"), lead) == ["standby"]


def test_who_has_led_until_now_says_so_while_its_lease_goes_on(tmp_path: Path) -> None:
    world = _World(tmp_path)
    before = world.candidate("c1", "one")
    lead = before.stand()
    assert isinstance(lead, Lead)

    assert world.stand_by(before, lead) == ["standby"]
    assert set(world.sentences) == {f"standing by: this controller's own last lead (term {lead.leader.term}) is to end"}


def test_who_must_not_lead_stands_by_and_says_why(tmp_path: Path) -> None:
    world = _World(tmp_path)

    def refuse() -> None:
        raise LedgerConflict("there are two ledgers", hint="move one")

    unfit = world.candidate("c1", "one")
    unfit = Candidate(unfit.name, "run", world.store, KEYS, unfit.position, world.clock, 10, refuse)

    assert world.stand_by(unfit) == ["ledger.conflict"]
    assert set(world.sentences) == {"standing by, nothing is changed: there are two ledgers"}

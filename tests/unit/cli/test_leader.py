"""`reconciler leader`: who leads, by which specs, and a human's word for those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.cli.outside import production
from reconciler.config import Settings
from reconciler.daemon.shared_ledger import SharedLedger
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.keys import keys_of
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.leadership.standbys import Presence, Standby
from reconciler.leadership.store import Position
from reconciler.ledger.led_specs import LedSpecs
from reconciler.model.ledger_store import EtcdLedger
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.worlds import FakeSession

pytestmark = pytest.mark.usefixtures("_own_environment")

DOUBT = LedSpecs("content-1", "content-1", "c1/a", "content-2", "content-2", "c2/b")


class Etcd:
    """The one that the configuration names."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store = SimulatedStore(SimulatedCluster(self.clock))
        self.folder = folder

    def of(self, name: str) -> SharedLedger:
        etcd = EtcdLedger(endpoints=("http://etcd:2379",), name=name)
        settings = Settings(state_dir=self.folder / name, etcd=etcd)
        return SharedLedger(self.store, keys_of("/reconciler", "default"), settings, etcd, self.clock)

    def led_by(self, led: LedSpecs) -> None:
        """As a leader has recorded it, that has stopped since."""
        shared = self.of("c1")
        lead = shared.candidate("run").take()
        with shared.working_copy(lead) as ledger:
            ledger.note_led_specs(led)
        lead.give_up()

    def recorded(self) -> LedSpecs | None:
        with self.of("c1").copy() as ledger:
            return ledger.led_specs()

    def history(self) -> list[tuple[str, str]]:
        with self.of("c1").copy() as ledger:
            return [(event.event, event.message) for event in ledger.events("fleet")]


@pytest.fixture
def etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Etcd:
    made = Etcd(tmp_path)
    monkeypatch.setenv("RECONCILER_LEDGER_ETCD_ENDPOINTS", "http://etcd:2379")
    monkeypatch.setattr("reconciler.daemon.shared_ledger.EtcdStore", lambda _: made.store)
    return made


def leader(*options: str) -> Result:
    return invoke("leader", *options, onto=production())


def test_specs_in_doubt_are_told_with_what_settles_it(etcd: Etcd) -> None:
    etcd.led_by(DOUBT)

    told = leader().stderr

    assert (
        "the specs that c2 leads by (content-2) are not known to be newer than those that c1 led by (content-1)" in told
    )
    assert "reconciler leader --accept-specs" in told


def test_they_are_in_the_json(etcd: Etcd) -> None:
    etcd.led_by(DOUBT)

    assert json.loads(leader("--json").stdout)["specs"] == {
        "generation": "content-1",
        "controller": "c1",
        "doubted": "content-2",
        "doubtedController": "c2",
    }


def test_a_word_for_them_is_recorded_with_who_said_it_and_why(etcd: Etcd) -> None:
    etcd.led_by(DOUBT)

    result = leader("--accept-specs", "--reason", "c1 burnt down", "--by", "Ann")

    assert result.exit_code == 0, result.output
    assert etcd.recorded() == LedSpecs("content-2", "content-2", "c2/b")
    event, message = etcd.history()[0]
    assert event == "specs-accepted"
    assert "specs content-2 of c2 instead of content-1 of c1, by Ann" in message
    assert message.endswith(": c1 burnt down")


def test_without_a_reason_it_is_no_word(etcd: Etcd) -> None:
    etcd.led_by(DOUBT)

    assert leader("--accept-specs").exit_code == 1
    assert etcd.recorded() == DOUBT


def test_where_none_are_in_doubt_there_is_nothing_to_accept(etcd: Etcd) -> None:
    etcd.led_by(LedSpecs("content-1", "content-1", "c1/a"))

    result = leader("--accept-specs", "--reason", "to be sure")

    assert result.exit_code == 1
    assert "no specs are in doubt" in result.stderr


# -- who stands by -----------------------------------------------------------------------------------------------------


def standing_by(etcd: Etcd, *controllers: tuple[str, str]) -> None:
    for name, machine in controllers:
        me = Standby(name, f"{name}/{machine}", machine, 7, 0.0, "content-1")
        Presence(etcd.store, keys_of("/reconciler", "default"), etcd.clock, lambda me=me: me).keep()  # type: ignore[misc]


def test_those_that_stand_by_are_named(etcd: Etcd) -> None:
    lead = etcd.of("c1").candidate("run").take()
    standing_by(etcd, ("c2", "machine-2"), ("c3", "machine-3"))

    result = leader()

    assert result.exit_code == 0
    assert "  stands by: c2 on machine-2 (pid 7, since " in result.stdout
    assert [each["name"] for each in json.loads(leader("--json").stdout)["standbys"]] == ["c2", "c3"]
    assert str(etcd.of("c1").holder()).endswith(", c2 and c3 standing by")
    lead.give_up()


def test_that_nobody_does_is_said(etcd: Etcd) -> None:
    etcd.of("c1").candidate("run").take()

    assert "  nobody stands by\n" in leader().stdout
    assert str(etcd.of("c1").holder()).endswith(", nobody stands by")


def test_two_of_one_name_are_told_of(etcd: Etcd) -> None:
    etcd.of("c1").candidate("run").take()
    standing_by(etcd, ("c1", "machine-2"))

    assert "warning: more than one controller is called c1: give each a ledger.etcd.name of its own" in leader().stderr


def test_a_leader_that_died_and_stands_by_for_itself_is_one(etcd: Etcd) -> None:
    shared = etcd.of("c1")
    shared.candidate("run").take()
    me = shared.standby(0.0)
    Presence(etcd.store, shared.keys, etcd.clock, lambda: me).keep()

    result = leader()

    assert "more than one" not in result.stderr
    assert (result.exit_code, result.stdout.startswith("nobody leads fleet default: the lease of ")) == (1, True)


def test_check_tells_of_them(etcd: Etcd, specs: Path) -> None:
    etcd.of("c1").candidate("run").take()

    alone = invoke("check", specs, onto=FakeSession([EMPTY])).stdout
    standing_by(etcd, ("c1", "machine-2"))
    beside = invoke("check", specs, onto=FakeSession([EMPTY])).stdout

    assert "standby: nobody stands by" in alone
    assert "standby: c1 on machine-2" in beside
    assert "controller: more than one is called c1" in beside


# -- an etcd that was put back -----------------------------------------------------------------------------------------


def test_an_etcd_that_was_put_back_is_believed_by_a_humans_word(etcd: Etcd) -> None:
    state = etcd.folder / "state"
    state.mkdir()
    SeenPosition(state, "etcd").advance(Position("c1", 500), None)
    assert "is not what it was" in leader().stderr

    result = leader("--accept-store")

    assert (result.exit_code, "is believed as it is now" in result.stdout) == (0, True)
    assert "is not what it was" not in leader().stderr


def test_where_it_was_not_that_is_said(etcd: Etcd) -> None:
    etcd.led_by(DOUBT)

    result = leader("--accept-store")

    assert (result.exit_code, "was believed by this machine already" in result.stdout) == (0, True)

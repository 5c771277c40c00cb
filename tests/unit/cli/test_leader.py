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
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.ledger.led_specs import LedSpecs
from reconciler.model.ledger_store import EtcdLedger
from tests.unit.cli.calling import invoke

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
        lead = shared.take("run")
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

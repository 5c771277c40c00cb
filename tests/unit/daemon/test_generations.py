"""Who stands by with other specs than the leader's is told of it before it comes to lead."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from reconciler.config import Settings
from reconciler.daemon.generations import GenerationWatch, own_specs
from reconciler.daemon.shared_ledger import SharedLedger
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.keys import keys_of
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.ledger.led_specs import LedSpecs
from reconciler.model.ledger_store import EtcdLedger

KEYS = keys_of("/reconciler", "default")
HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec: {uri: 'test:///default'}\n"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    directory = tmp_path / "fleet"
    directory.mkdir()
    (directory / "host.yaml").write_text(HOST)
    return directory


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shared(tmp_path: Path, specs: Path, clock: FakeClock) -> SharedLedger:
    etcd = EtcdLedger(endpoints=("http://etcd:2379",), name="c1")
    settings = Settings(specs=specs, state_dir=tmp_path / "c1", etcd=etcd)
    return SharedLedger(SimulatedStore(SimulatedCluster(clock)), KEYS, settings, etcd, clock)


def led_with(shared: SharedLedger, *generations: str) -> None:
    """A controller leads on, that acted on those one after the other."""
    ledger = shared.working_copy(shared.candidate("run").take())
    for number, generation in enumerate(generations):
        ledger.record_pass(f"p{number}", generation, "f", 1.0)
        ledger.flush()


def test_who_stands_by_warns_once_of_each_difference(shared: SharedLedger, specs: Path, clock: FakeClock) -> None:
    led_with(shared, "content-older", own_specs(specs).generation)
    watch = GenerationWatch(specs, shared.store, KEYS, clock)

    with structlog.testing.capture_logs() as logs:
        watch.look()
        assert logs == []
        (specs / "host.yaml").write_text(f"{HOST}# of another day\n")
        for _ in range(3):
            clock.advance(60.0)
            watch.look()

    (told,) = logs
    assert told["event"] == "specs.differ"
    assert own_specs(specs).generation[:20] in told["detail"]


def test_commands_tell_of_a_leader_with_other_specs(shared: SharedLedger, specs: Path, tmp_path: Path) -> None:
    led_with(shared, own_specs(specs).generation)
    assert shared.difference_of_specs() == ""
    other = tmp_path / "other"
    other.mkdir()

    there = replace(shared, settings=replace(shared.settings, specs=other))

    assert f"the fleet is led by {own_specs(specs).generation[:20]}" in there.difference_of_specs()


def test_a_copy_of_the_same_files_under_another_name_differs_in_nothing(shared: SharedLedger, specs: Path) -> None:
    ledger = shared.working_copy(shared.candidate("run").take())
    ledger.note_led_specs(LedSpecs("0f" * 20, own_specs(specs).content, "c2/id"))

    assert shared.difference_of_specs() == ""


def test_who_has_what_was_led_by_is_not_told_of_a_leader_in_doubt(shared: SharedLedger, specs: Path) -> None:
    own = own_specs(specs)
    ledger = shared.working_copy(shared.candidate("run").take())
    ledger.note_led_specs(LedSpecs(own.generation, own.content, "c1/id", "content-2", "content-2", "c2/id"))
    ledger.record_pass("p1", "content-2", "f", 1.0)
    ledger.flush()

    assert shared.difference_of_specs() == ""

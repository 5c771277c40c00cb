"""Whoever takes hold of a shared ledger is told whether its specs are those that the fleet is led by."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config import Settings
from reconciler.daemon.sharing import take_hold
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.model.desired_state import DesiredState
from reconciler.model.ledger_store import EtcdLedger
from reconciler.specfiles.loader import load

HOST = "apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec: {{uri: 'test:///default'}}\n"


class Machine:
    """One of those that share it."""

    def __init__(self, folder: Path, name: str, *hosts: str) -> None:
        specs = folder / f"specs-{name}"
        specs.mkdir()
        for host in hosts:
            (specs / f"{host}.yaml").write_text(HOST.format(name=host))
        etcd = EtcdLedger(endpoints=("http://etcd:2379",), name=name)
        self.settings = Settings(specs=specs, state_dir=folder / name, etcd=etcd)

    def specs(self, writer: str | None) -> DesiredState:
        """As a command takes them that leads, or that looks."""
        with take_hold(self.settings, writer) as hold:
            return hold.judge(load(self.settings.specs_directory(), fleet="default"))

    def problems(self) -> tuple[str, ...]:
        with take_hold(self.settings, None) as hold:
            hold.judge(load(self.settings.specs_directory(), fleet="default"))
            return hold.problems()


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Machine, Machine]:
    store = SimulatedStore(SimulatedCluster(FakeClock()))
    monkeypatch.setattr("reconciler.daemon.shared_ledger.EtcdStore", lambda _: store)
    return Machine(tmp_path, "c1", "h1", "h2"), Machine(tmp_path, "c2", "h1")


def test_an_apply_with_other_specs_only_keeps_the_fleet_running(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    assert first.specs("apply").doubt == ""

    assert "than those that c1 led by" in second.specs("apply").doubt
    assert first.specs("apply").doubt == ""


def test_a_look_shows_what_an_apply_would_do(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    first.specs("apply")

    assert second.specs(None).doubt
    assert first.specs(None).doubt == ""


def test_who_has_other_specs_than_a_leader_in_doubt_is_told_of_it(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    first.specs("apply")
    second.specs("apply")

    (told,) = first.problems()
    assert "the specs that c2 leads by" in told
    assert second.problems() == ()

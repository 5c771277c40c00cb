"""A ledger in etcd, as commands and daemons take hold of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.config import Settings
from reconciler.daemon.opening import Hold, session_on
from reconciler.daemon.shared_ledger import SharedLedger, shared_ledger
from reconciler.errors import ControllerRunning, LedgerConflict, LedgerError, StoreUnavailable, StoreWentBack
from reconciler.leadership.candidate import leader_of
from reconciler.leadership.keys import keys_of
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.ledger.asking import Responder
from reconciler.ledger.left_etcd import refuse_left_etcd
from reconciler.ledger.records import LEADS
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import Failure
from reconciler.model.ledger_store import EtcdLedger
from reconciler.model.secret_ref import SecretRef
from tests.support.answering import AnsweringClock

KEYS = keys_of("/reconciler", "lab")


@pytest.fixture
def clock() -> AnsweringClock:
    return AnsweringClock()


@pytest.fixture
def cluster(clock: AnsweringClock) -> SimulatedCluster:
    return SimulatedCluster(clock)


@pytest.fixture
def shared(tmp_path: Path, clock: AnsweringClock, cluster: SimulatedCluster) -> SharedLedger:
    etcd = EtcdLedger(endpoints=("http://etcd:2379",), name="c1")
    return SharedLedger(SimulatedStore(cluster), KEYS, Settings(state_dir=tmp_path / "c1", etcd=etcd), etcd, clock)


def another(shared: SharedLedger, folder: Path) -> SharedLedger:
    """The same of another machine."""
    settings = replace(shared.settings, state_dir=folder / "c2")
    return replace(shared, settings=settings, etcd=shared.etcd.model_copy(update={"name": "c2"}))


def begin(shared: SharedLedger) -> None:
    """Have a ledger in etcd, as the first controller does."""
    lead = shared.candidate("run").take()
    shared.working_copy(lead).close()
    lead.give_up()


def test_a_command_leads_for_a_moment_where_nobody_does(shared: SharedLedger) -> None:
    begin(shared)

    with shared.for_writing("pause") as ledger:
        ledger.pause()

    with shared.copy() as copy:
        assert copy.view().paused == {"fleet"}
        assert copy.events("fleet")[0].event == LEADS
    assert leader_of(shared.store, KEYS) is None


def test_a_command_on_another_machine_has_the_leader_write(
    shared: SharedLedger, tmp_path: Path, clock: AnsweringClock
) -> None:
    lead = shared.candidate("run").take()
    with shared.working_copy(lead) as ledger:
        clock.responder = Responder(ledger, lead, shared.store, KEYS, lambda _: None)

        with another(shared, tmp_path).for_writing("pause") as asking:
            asking.pause("VirtualMachine/web")

        assert ledger.view().paused == {"VirtualMachine/web"}
    lead.check()


def test_who_applies_forgets_what_failed_in_the_ledger_that_it_leads(
    shared: SharedLedger, tmp_path: Path, clock: AnsweringClock
) -> None:
    """It asks nobody: there is no other leader, and no other ledger."""
    (tmp_path / "specs").mkdir()
    settings = replace(shared.settings, specs=tmp_path / "specs")
    lead = shared.candidate("apply").take()
    with shared.working_copy(lead) as ledger:
        ledger.record_failure(
            Failure("start-domain:VirtualMachine/web@h1", 1, "no space", permanent=True, not_before=9e9, inputs="x")
        )

        with session_on(settings, Hold(ledger, check=lead.check), "apply", clock) as session:
            session.forget_failures()

        assert ledger.view().failures == {}


def test_who_comes_second_is_told_who_leads(shared: SharedLedger, tmp_path: Path) -> None:
    lead = shared.candidate("run").take()

    with pytest.raises(ControllerRunning, match=rf"on c1 \(pid \d+, since .*, term {lead.leader.term}\) leads fleet"):
        another(shared, tmp_path).candidate("apply").take()

    holder = shared.holder()
    assert holder is not None
    assert (holder.name, holder.term, holder.command) == ("c1", lead.leader.term, "run")


def test_an_etcd_that_is_not_believed_is_a_problem_of_status(shared: SharedLedger, cluster: SimulatedCluster) -> None:
    begin(shared)
    backup = cluster.backup()
    with shared.for_writing("pause") as ledger:
        ledger.pause()
    assert shared.problems() == ()
    cluster.restore(backup)

    (unnoted,) = shared.problems()
    with pytest.raises(StoreWentBack):
        shared.candidate("run").take()
    (problem,) = shared.problems()

    assert problem == unnoted

    assert "its revision was" in problem
    assert "reconciler leader --accept-store" in problem


def test_the_way_to_accept_etcd_names_the_configuration_that_was_named(
    shared: SharedLedger, cluster: SimulatedCluster, tmp_path: Path
) -> None:
    configured = replace(shared, settings=replace(shared.settings, config_file=tmp_path / "c1.yaml"))
    backup = cluster.backup()
    begin(configured)
    cluster.restore(backup)

    (problem,) = configured.problems()

    assert f"on each controller's machine: reconciler leader --accept-store --config {tmp_path}/c1.yaml" in problem


def test_a_machine_with_another_ledger_than_etcds_stands_for_nothing_and_says_so_to_who_looks(
    shared: SharedLedger, tmp_path: Path
) -> None:
    begin(shared)
    other = another(shared, tmp_path)
    with Ledger(other.settings.state_dir) as alone:
        alone.pause("VirtualMachine/web")

    with pytest.raises(LedgerConflict, match="there are two ledgers of this fleet"):
        other.candidate("run").take()
    with pytest.raises(LedgerConflict), other.for_writing("pause"):
        pass

    assert leader_of(shared.store, KEYS) is None
    assert "there are two ledgers of this fleet" in other.problems()[0]


def test_a_ledger_that_is_not_in_etcd_yet_is_told_to_who_looks(shared: SharedLedger) -> None:
    with Ledger(shared.settings.state_dir) as alone:
        alone.pause()

    (problem,) = shared.problems()

    assert "etcd holds no ledger of fleet default yet" in problem


def test_a_command_on_a_machine_without_a_ledger_does_not_make_that_of_the_fleet(
    shared: SharedLedger, cluster: SimulatedCluster
) -> None:
    with pytest.raises(LedgerError, match="holds no ledger of fleet default yet"), shared.for_writing("pause"):
        pass

    assert cluster.values == {}


def test_who_leaves_etcd_takes_all_of_the_ledger_along(shared: SharedLedger) -> None:
    begin(shared)
    with shared.for_writing("pause") as ledger:
        ledger.pause("VirtualMachine/web")

    path = shared.export()

    refuse_left_etcd(shared.settings.state_dir)
    assert [file.name for file in path.parent.glob("ledger.sqlite3*")] == ["ledger.sqlite3"]
    assert path.stat().st_mode & 0o777 == 0o600
    with Ledger(shared.settings.state_dir) as alone:
        assert alone.view().paused == {"VirtualMachine/web"}


def test_nothing_is_taken_out_of_etcd_while_somebody_leads(shared: SharedLedger, tmp_path: Path) -> None:
    lead = shared.candidate("run").take()
    shared.working_copy(lead).close()

    with pytest.raises(ControllerRunning):
        another(shared, tmp_path).export()

    assert not another(shared, tmp_path).own_file.is_there


def test_a_password_that_is_not_there_is_told_with_where_it_belongs(tmp_path: Path) -> None:
    etcd = EtcdLedger(
        endpoints=("https://127.0.0.1:9",), username="controller", password=SecretRef(env="NO_SUCH_VARIABLE_HERE")
    )

    with (
        shared_ledger(Settings(state_dir=tmp_path, etcd=etcd)) as shared,
        pytest.raises(StoreUnavailable, match="NO_SUCH_VARIABLE_HERE, which is not set"),
    ):
        shared.holder()


def test_an_etcd_that_is_not_there_is_told_with_its_endpoint_and_what_to_do(tmp_path: Path) -> None:
    etcd = EtcdLedger(endpoints=("http://127.0.0.1:9",))

    with shared_ledger(Settings(state_dir=tmp_path, etcd=etcd)) as shared, pytest.raises(StoreUnavailable) as caught:
        shared.candidate("run").take()

    assert caught.value.message == "etcd does not answer: http://127.0.0.1:9: Connection refused"
    assert caught.value.hint.startswith("start it, or look at the network between")

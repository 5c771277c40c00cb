"""What a leader writes is in etcd before anything is done for it, and the next leader reads all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from reconciler.errors import LeadLost, LedgerConflict, LedgerError, PreconditionFailed, StoreUnavailable
from reconciler.hypervisor.simulated_clock import FakeClock
from reconciler.leadership.candidate import Candidate
from reconciler.leadership.keys import keys_of
from reconciler.leadership.lead import Lead
from reconciler.leadership.position import SeenPosition
from reconciler.leadership.simulated_store import SimulatedCluster, SimulatedStore
from reconciler.leadership.store import Change, Guard
from reconciler.ledger.asking import AskingLedger, Responder
from reconciler.ledger.database import LEDGER_FILE, migrations
from reconciler.ledger.own_file import MOVED
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.replica import ReadCopy, Replica, view_of
from reconciler.ledger.store import Ledger
from reconciler.model.health import FenceProof, Incident
from reconciler.model.ledger import DoomedVolume, Failure, LedgerView
from tests.support.answering import AnsweringClock

KEYS = keys_of("/reconciler", "lab")


class Ground:
    """One etcd, and controllers that come to lead one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.cluster = SimulatedCluster(self.clock)
        self.store = SimulatedStore(self.cluster)

    def lead(self, name: str = "c1") -> Lead:
        state = self.state(name)
        position = SeenPosition(state, self.store.name)
        lead = Candidate(name, "run", self.store, KEYS, position, self.clock, 10).stand()
        assert isinstance(lead, Lead)
        return lead

    def state(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def ledger(self, lead: Lead) -> Ledger:
        state = self.state(lead.leader.name)
        return Ledger(state, mirror=Replica(lead, self.store, KEYS, state))

    @property
    def stored(self) -> LedgerView:
        return view_of(self.cluster.reading(KEYS.root), KEYS)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def lead(ground: Ground) -> Lead:
    return ground.lead()


@pytest.fixture
def ledger(ground: Ground, lead: Lead) -> Iterator[Ledger]:
    with ground.ledger(lead) as opened:
        yield opened


def fill(ledger: Ledger) -> None:
    """Something in every table that a plan is made from, changed and removed too."""
    for vm in ("web", "db", "old"):
        ledger.record_placement(vm, "h1", 1, 1767225600.123456, ran=False)
    ledger.record_placement("web", "h2", 2, 2.5, came_from="h1")
    ledger.forget_placement("old")
    ledger.record_placement("old", "h1", 3, 4.0)
    ledger.forget_placement("old")
    ledger.note_start("db", again_at=1767225600.1234567)
    ledger.note_host_read({"h1": 0.25, "h2": 0.125})
    ledger.begin_volume("vms", "lab.web.root.qcow2", "h1")
    ledger.begin_volume("vms", "lab.db.root.qcow2", "h1")
    ledger.finish_volume("vms", "lab.db.root.qcow2")
    ledger.doom_volumes("gone", [DoomedVolume("gone", "vms", "lab.gone.root.qcow2", "h1")])
    ledger.record_failure(Failure("a", 2, "no “room”", permanent=True, not_before=9.5, inputs="abc"))
    ledger.pause("VirtualMachine/web")
    ledger.open_incident(Incident("i1", "h1", 5.0, 1.0, 2.0, 3.0))
    ledger.record_proof(FenceProof("h1", "i1", "human", 6.0, "looked", "ann"))
    ledger.record_silent_guests({"web": 7.0})


def test_the_next_leader_finds_all_that_the_last_one_wrote(ground: Ground, lead: Lead, ledger: Ledger) -> None:
    fill(ledger)
    ledger.flush()
    lead.give_up()

    with ground.ledger(ground.lead("c2")) as successors:
        assert successors.view() == ledger.view()
        assert successors.proof("h1") == ledger.proof("h1")


def test_what_is_durable_is_in_etcd_when_the_call_returns(ground: Ground, ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 1, 1.0)

    assert ground.stored.placements == ledger.view().placements


def test_history_waits_for_the_next_durable_write(ground: Ground, ledger: Ledger) -> None:
    revision = ground.cluster.revision
    ledger.record_event(LedgerEvent(1.0, "p", "Host/h1", "h1", "done", "it"))
    assert ground.cluster.revision == revision

    ledger.pause()

    assert ground.cluster.revision == revision + 1
    with Ledger(ground.folder, mirror=ReadCopy(ground.store, KEYS)) as read:
        assert [event.message for event in read.events()] == ["it"]


def test_passes_that_only_count_up_cost_no_change_of_etcd(ground: Ground, ledger: Ledger) -> None:
    ledger.record_pass("p1", "g", "f", 1.0)
    ledger.flush()
    revision = ground.cluster.revision

    for number in range(5):
        ledger.record_pass(f"q{number}", "g", "f", 2.0)
        ledger.flush()

    assert ground.cluster.revision == revision
    assert ledger.passes()[0].passes == 6


def test_nothing_is_remembered_here_that_etcd_did_not_take(ground: Ground, ledger: Ledger) -> None:
    ground.store.is_cut = True

    with pytest.raises(StoreUnavailable):
        ledger.record_placement("web", "h1", 1, 1.0)

    assert ledger.view().placements == {}


def test_what_etcd_took_without_saying_so_is_taken_back_by_the_next_write(ground: Ground, ledger: Ledger) -> None:
    ground.store.loses_replies = True
    with pytest.raises(StoreUnavailable):
        ledger.record_placement("web", "h1", 1, 1.0)
    assert "web" in ground.stored.placements

    ledger.pause()

    assert ground.stored == ledger.view()


def test_who_does_not_lead_any_more_can_write_nothing(ground: Ground, ledger: Ledger) -> None:
    ground.clock.advance(11.0)
    other = ground.lead("c2")

    for write in (ledger.pause, lambda: ledger.record_event(LedgerEvent(1.0, "", "x/y", "", "e", "m"))):
        with pytest.raises(LeadLost):
            write()

    assert ledger.view().paused == frozenset()
    other.check()


def test_what_a_method_refuses_is_not_written_anywhere(ground: Ground, ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 2, 1.0)
    revision = ground.cluster.revision

    with pytest.raises(PreconditionFailed):
        ledger.record_placement("web", "h2", 1, 1.0)

    assert ground.cluster.revision == revision


def test_more_rows_than_etcd_takes_at_once_all_arrive(ground: Ground, ledger: Ledger) -> None:
    ledger.note_host_read({f"h{number}": 0.5 for number in range(250)})

    assert len(ground.stored.hosts_read) == 250


def test_the_file_of_a_controller_that_was_alone_becomes_the_ledger_in_etcd(ground: Ground) -> None:
    state = ground.state("c1")
    with Ledger(state) as alone:
        fill(alone)
        before = alone.view()

    with ground.ledger(ground.lead()) as ledger:
        assert ledger.view() == before

    assert ground.stored == before
    assert not (state / LEDGER_FILE).exists()


def test_what_is_moved_into_etcd_stays_whole_in_the_file_that_was_put_away(ground: Ground) -> None:
    state = ground.state("c1")
    with Ledger(state) as alone:
        fill(alone)
        before = alone.view()
        with ground.ledger(ground.lead()):
            pass

    assert not [file for file in state.iterdir() if file.name in {f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm"}]
    for file in state.glob(f"{LEDGER_FILE}{MOVED}*"):
        file.rename(str(file).replace(MOVED, ""))
    with Ledger(state, readonly=True) as put_back:
        assert put_back.view() == before


def test_a_controller_with_another_ledger_than_etcds_does_not_lead_and_both_are_named(
    ground: Ground, lead: Lead, ledger: Ledger
) -> None:
    ledger.pause()
    lead.give_up()
    with Ledger(ground.state("c2")) as alone:
        alone.record_placement("web", "h1", 1, 1.0)

    with pytest.raises(LedgerConflict) as refused:
        ground.ledger(ground.lead("c2"))

    assert "ledger.sqlite3 (1 VMs, 0 held, 0 proofs of death)" in refused.value.message
    assert "in etcd (0 VMs, 1 held, 0 proofs of death)" in refused.value.message
    assert "mv " in refused.value.hint
    assert "etcdctl del --prefix /reconciler/lab/" in refused.value.hint
    assert (ground.state("c2") / LEDGER_FILE).exists()
    assert ground.stored.paused == {"fleet"}


def test_a_move_into_etcd_that_was_cut_off_at_its_end_is_finished(ground: Ground) -> None:
    state = ground.state("c1")
    with Ledger(state) as alone:
        fill(alone)
    lead = ground.lead()
    ground.ledger(lead).close()
    lead.give_up()
    (state / f"{LEDGER_FILE}{MOVED}").rename(state / LEDGER_FILE)

    with ground.ledger(ground.lead()) as ledger:
        assert ledger.view() == ground.stored

    assert not (state / LEDGER_FILE).exists()


def test_a_ledger_of_an_older_schema_is_brought_to_the_newest(ground: Ground, lead: Lead, ledger: Ledger) -> None:
    ledger.record_placement("web", "h1", 1, 1.0)
    old = f'{KEYS.rows}placement/["web"]'
    row = '{"vm": "web", "host": "h1", "epoch": 1, "since": 1.0}'
    lead.change([Change(old, row), Change(KEYS.schema, "1")])
    lead.give_up()

    with ground.ledger(ground.lead("c2")) as successors:
        assert successors.view().placements["web"].ran

    schema = {item.key: item.value for item in ground.cluster.reading(KEYS.root).items}[KEYS.schema]
    assert schema == str(migrations()[-1][0])


def test_a_ledger_of_a_newer_version_is_refused(ground: Ground, lead: Lead, ledger: Ledger) -> None:
    ledger.pause()
    lead.change([Change(KEYS.schema, str(migrations()[-1][0] + 1))])
    lead.give_up()

    with pytest.raises(LedgerError, match="newer version"):
        ground.ledger(ground.lead("c2"))


def test_who_looks_can_write_nothing_and_sees_what_is_new_when_looking_again(ground: Ground, ledger: Ledger) -> None:
    with Ledger(ground.folder, mirror=ReadCopy(ground.store, KEYS)) as read:
        read.refresh()
        ledger.pause()
        assert read.view().paused == frozenset()
        with pytest.raises(LedgerError):
            read.pause("VirtualMachine/web")

        read.refresh()

        assert read.view().paused == {"fleet"}


@pytest.fixture
def asking(ground: Ground, lead: Lead, ledger: Ledger) -> Iterator[AskingLedger]:
    clock = AnsweringClock()
    clock.responder = Responder(ledger, lead, ground.store, KEYS, lambda _: None)
    with Ledger(ground.folder, mirror=ReadCopy(ground.store, KEYS)) as read:
        yield AskingLedger(read, "c1", ground.store, KEYS, clock, "ann on c2")


def test_a_command_beside_the_leader_has_it_write(ledger: Ledger, asking: AskingLedger) -> None:
    asking.pause("VirtualMachine/web")
    asking.pause()

    assert asking.resume("VirtualMachine/web")
    assert not asking.resume("VirtualMachine/web")
    assert ledger.view().paused == asking.view().paused == {"fleet"}


def test_the_leaders_log_tells_who_asked_for_what(asking: AskingLedger) -> None:
    with structlog.testing.capture_logs() as logs:
        asking.pause("VirtualMachine/web")

    (told,) = logs
    assert (told["question"], told["object"], told["asker"]) == ("Pause", "VirtualMachine/web", "ann on c2")


def test_the_leaders_refusal_is_told_to_who_asked(ledger: Ledger, asking: AskingLedger) -> None:
    with pytest.raises(PreconditionFailed, match="no incident is open"):
        asking.record_proof(FenceProof("h1", "i1", "human", 6.0, "looked", "ann"))

    assert ledger.view().proofs == {}


def test_a_leader_that_does_not_answer_is_named(ground: Ground, ledger: Ledger) -> None:
    ledger.pause()
    with Ledger(ground.folder, mirror=ReadCopy(ground.store, KEYS)) as read:
        asking = AskingLedger(read, "`reconciler run` on c1", ground.store, KEYS, FakeClock(), "ann on c2")

        with pytest.raises(LedgerError, match="on c1 leads, and has not answered"):
            asking.pause("VirtualMachine/web")

    assert ground.store.read(KEYS.requests).items == ()


def test_what_is_no_question_is_left_alone(ground: Ground, lead: Lead, ledger: Ledger) -> None:
    key = f"{KEYS.requests}x"
    ground.store.change(Guard(key, 0), [Change(key, '{"question": {"type": "Destroy"}, "lease": 1}')])

    Responder(ledger, lead, ground.store, KEYS, lambda _: None).poll()

    assert [item.value for item in ground.store.read(KEYS.requests).items] == [
        '{"question": {"type": "Destroy"}, "lease": 1}'
    ]


def test_every_table_of_the_ledger_is_kept_in_etcd(ledger: Ledger) -> None:
    assert ledger._connection is not None
    tables = {row[0] for row in ledger._connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    triggers = ledger._connection.execute("SELECT tbl_name FROM temp.sqlite_master WHERE type = 'trigger'").fetchall()

    assert {row[0] for row in triggers} == tables

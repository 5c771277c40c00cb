"""The ledger remembers what was written before acting, and refuses to guess when it can't."""

from __future__ import annotations

import errno
import sqlite3
import threading
from pathlib import Path

import pytest

from reconciler.errors import LedgerError, PreconditionFailed, StateError
from reconciler.ledger import removed_vms
from reconciler.ledger.database import LEDGER_FILE
from reconciler.ledger.history import EVENTS_KEPT
from reconciler.ledger.records import LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import Failure, LedgerView, Placement, RemovedVm, VolumeIntent


def event(number: int, target: str = "VirtualMachine/a") -> LedgerEvent:
    return LedgerEvent(float(number), "p1", target, "h1", "done", f"event {number}")


def test_new_state_directory_starts_with_an_empty_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.view() == LedgerView()


def test_state_directory_and_ledger_are_private(tmp_path: Path) -> None:
    with Ledger(tmp_path / "state") as ledger:
        ledger.pause()

        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
        assert set(modes.values()) == {0o600}
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_everything_written_is_there_after_reopening(tmp_path: Path) -> None:
    failure = Failure("a1", 2, "no", permanent=True, not_before=9.5, inputs="abc")
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 3, 1.5)
        ledger.note_host_read({"h1": 0.1, "h2": 0.2})
        ledger.begin_volume("vms", "v", "h1")
        ledger.record_failure(failure)
        ledger.pause("VirtualMachine/web")

    with Ledger(tmp_path) as ledger:
        assert ledger.view() == LedgerView(
            placements={"web": Placement("web", "h1", 3, 1.5)},
            hosts_read=frozenset({"h1", "h2"}),
            read_seconds={"h1": 0.1, "h2": 0.2},
            failures={"a1": failure},
            intents=frozenset({VolumeIntent("vms", "v", "h1")}),
            paused=frozenset({"VirtualMachine/web"}),
        )


def test_what_is_taken_back_is_gone(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)
        ledger.begin_volume("vms", "v", "h1")
        ledger.record_failure(Failure("a1", 1, "no", permanent=False, not_before=0.0, inputs=""))
        ledger.pause()

        ledger.forget_placement("web")
        ledger.finish_volume("vms", "v", "h1")
        ledger.clear_failure("a1")
        held = ledger.resume()

        assert held
        assert ledger.view() == LedgerView(removed={"web": RemovedVm("web", "h1", 1)})


@pytest.mark.parametrize(("host", "epoch"), [("h2", 2), ("h2", 3), ("h1", 2)])
def test_placement_never_goes_back_to_an_older_copy(tmp_path: Path, host: str, epoch: int) -> None:
    """The highest epoch is the true copy; the same epoch on two hosts would be two true copies."""
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 3, 0.0)

        with pytest.raises(PreconditionFailed):
            ledger.record_placement("web", host, epoch, 1.0)

        assert ledger.placement("web") == Placement("web", "h1", 3, 0.0)


def test_placement_recorded_again_keeps_its_first_time(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 3, 1.0)
        ledger.record_placement("web", "h1", 3, 2.0)

        assert ledger.placement("web") == Placement("web", "h1", 3, 1.0)


def test_removing_a_stale_copy_keeps_the_true_placement(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h2", 2, 0.0)

        ledger.forget_placement("web", "h1")

        assert ledger.placement("web") is not None


def test_of_a_removed_vm_it_is_known_where_it_was_last_and_what_its_specs_said_of_its_disks(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)
        ledger.note_deletion_policies({"web": "delete"})
        ledger.record_placement("web", "h2", 2, 1.0)

        ledger.forget_placement("web", "h2")

        assert ledger.view() == LedgerView(removed={"web": RemovedVm("web", "h2", 2, "delete")})


def test_a_removed_vm_that_is_placed_again_is_not_removed_any_more(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h2", 2, 0.0)
        ledger.note_deletion_policies({"web": "retain"})
        ledger.forget_placement("web")

        ledger.record_placement("web", "h1", 3, 5.0)

        view = ledger.view()
        assert view.removed == {}
        assert view.placements == {"web": Placement("web", "h1", 3, 5.0, deletion_policy="retain")}


def test_of_very_many_removed_vms_the_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removed_vms, "REMOVED_KEPT", 2)
    with Ledger(tmp_path) as ledger:
        for vm in ("a", "b", "c"):
            ledger.record_placement(vm, "h1", 1, 0.0)
            ledger.forget_placement(vm)

        assert ledger.view().removed.keys() == {"b", "c"}


def test_local_pools_of_one_name_have_intents_of_their_own(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.begin_volume("local", "base", "h1")
        ledger.begin_volume("local", "base", "h2")

        ledger.finish_volume("local", "base", "h1")

        assert not ledger.has_volume_intent("local", "base", "h1")
        assert ledger.has_volume_intent("local", "base", "h2")


def test_finishing_in_a_shared_pool_clears_the_intent_of_every_host(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.begin_volume("shared", "v", "h1")
        ledger.begin_volume("shared", "v", "h2")

        ledger.finish_volume("shared", "v")

        assert not ledger.has_volume_intent("shared", "v", None)


def test_failures_that_no_plan_wants_any_more_are_forgotten(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for key in ("a", "b"):
            ledger.record_failure(Failure(key, 1, "no", permanent=False, not_before=0.0, inputs=""))

        ledger.forget_failures_except(["b"])

        assert set(ledger.view().failures) == {"b"}


def test_events_come_newest_first_and_by_target(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for number, target in enumerate(["Host/h1", "Host/h2", "Host/h1"]):
            ledger.record_event(event(number, target))

        assert [found.at for found in ledger.events("Host/h1")] == [2.0, 0.0]
        assert [found.at for found in ledger.events(limit=2)] == [2.0, 1.0]


def test_history_is_bounded(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for number in range(EVENTS_KEPT + 250):
            ledger.record_event(event(number))

        kept = ledger.events(limit=EVENTS_KEPT * 2)
        assert EVENTS_KEPT <= len(kept) < EVENTS_KEPT + 100
        assert kept[0].at == EVENTS_KEPT + 249


def test_passes_that_decide_the_same_are_one_record(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_pass("p1", "g1", "f1", 1.0)
        ledger.record_pass("p2", "g1", "f1", 2.0)
        ledger.record_pass("p3", "g2", "f1", 3.0)

        newest, older = ledger.passes()
        assert (newest.pass_id, newest.passes) == ("p3", 1)
        assert (older.pass_id, older.passes, older.first_at, older.last_at) == ("p1", 2, 1.0, 2.0)


def test_threads_write_at_the_same_time(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:

        def write(name: str) -> None:
            for number in range(20):
                ledger.record_placement(f"{name}-{number}", "h1", 1, 0.0)

        threads = [threading.Thread(target=write, args=(f"t{index}",)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(ledger.view().placements) == 80


def test_readonly_sees_what_a_running_controller_writes(tmp_path: Path) -> None:
    with Ledger(tmp_path) as writer, Ledger.open_readonly(tmp_path) as reader:
        writer.record_placement("web", "h1", 1, 0.0)

        assert set(reader.view().placements) == {"web"}


def test_readonly_of_a_missing_ledger_is_empty_and_makes_no_file(tmp_path: Path) -> None:
    with Ledger.open_readonly(tmp_path / "none") as ledger:
        assert ledger.view() == LedgerView()
        assert ledger.events() == ()

    assert not (tmp_path / "none").exists()


def test_readonly_refuses_to_write(tmp_path: Path) -> None:
    Ledger(tmp_path).close()

    with Ledger.open_readonly(tmp_path) as ledger, pytest.raises(LedgerError, match="read-only"):
        ledger.pause()


def test_damaged_ledger_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_FILE
    path.write_bytes(b"not a database at all" * 100)

    with pytest.raises(LedgerError, match="damaged") as caught:
        Ledger(tmp_path)

    assert "nothing was changed" in caught.value.hint
    assert path.read_bytes() == b"not a database at all" * 100


def test_torn_ledger_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for number in range(500):
            ledger.record_placement(f"vm-{number}", "h1", 1, 0.0)
    path = tmp_path / LEDGER_FILE
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 // 4096 * 4096])

    with pytest.raises(LedgerError, match="damaged"):
        Ledger(tmp_path)


def test_foreign_sqlite_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / LEDGER_FILE) as connection:
        connection.executescript("CREATE TABLE t (a); PRAGMA user_version = 1;")
    connection.close()

    with pytest.raises(LedgerError, match="another program"):
        Ledger(tmp_path)


def test_full_disk_is_said_and_nothing_half_written(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger._connection is not None
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(LedgerError, match="no space"):
            ledger.note_host_read({f"host-{number}": 0.1 for number in range(10_000)})

        assert ledger.view().hosts_read == frozenset()


def test_state_directory_open_to_everybody_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)

    with pytest.raises(StateError, match="writable by everybody"):
        Ledger(state)


def test_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    with pytest.raises(StateError, match="can't be used"):
        Ledger(tmp_path / "state")


def test_ledger_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(LedgerError, match="can't be opened"):
        Ledger(tmp_path)


def test_maker_killed_before_the_first_migration_leaves_an_empty_ledger(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).touch(0o600)

    with Ledger.open_readonly(tmp_path) as reader:
        assert reader.view() == LedgerView()
    with Ledger(tmp_path) as writer:
        writer.pause()
        assert writer.view().paused == {"fleet"}


def test_a_state_directory_of_another_user_is_no_empty_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", forbidden)

    with pytest.raises(LedgerError, match="Permission denied") as caught:
        Ledger.open_readonly(tmp_path)
    assert "run as the user that owns" in caught.value.hint


def test_hosts_that_were_read_can_be_forgotten_and_placements_stay(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)
        ledger.note_host_read({"h1": 1.0, "h2": 1.0})

        ledger.forget_hosts_read()

        assert ledger.view().hosts_read == frozenset()
        assert set(ledger.view().placements) == {"web"}

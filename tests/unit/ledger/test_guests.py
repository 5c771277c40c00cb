"""The ledger knows when VMs were started again that had ended by themselves, and whose guests are silent."""

from __future__ import annotations

from pathlib import Path

from reconciler.ledger.restarts import RESTARTS_KEPT
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import Failure


def test_restarts_are_there_after_reopening_oldest_first(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_start("web", again_at=1.5)
        ledger.note_start("web", again_at=7.0)
        ledger.note_start("db", again_at=3.0)

    with Ledger.open_readonly(tmp_path) as ledger:
        assert ledger.view().restarts == {"web": (1.5, 7.0), "db": (3.0,)}


def test_a_start_for_another_reason_is_no_restart(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_start("web")

        assert ledger.view().restarts == {}


def test_only_so_many_restarts_of_a_vm_are_kept(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for number in range(RESTARTS_KEPT + 5):
            ledger.note_start("web", again_at=float(number))

        assert ledger.view().restarts["web"] == tuple(float(number) for number in range(5, RESTARTS_KEPT + 5))


def test_restarts_that_lie_ahead_are_dropped_once_the_clock_was_set_back(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_start("web", again_at=100.0)
        ledger.note_start("web", again_at=5.0)

        assert ledger.view().restarts == {"web": (5.0,)}


def test_resuming_a_vm_counts_its_restarts_anew(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.note_start("web", again_at=1.0)
        ledger.note_start("db", again_at=1.0)

        assert ledger.resume("VirtualMachine/web")
        assert ledger.view().restarts == {"db": (1.0,)}


def test_resuming_what_is_neither_held_nor_was_restarted_says_so(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        assert not ledger.resume("VirtualMachine/web")


def test_restarts_go_with_the_vm(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_placement("web", "h1", 1, 0.0)
        ledger.note_start("web", again_at=1.0)

        ledger.forget_placement("web", "h2")
        assert ledger.view().restarts == {"web": (1.0,)}

        ledger.forget_placement("web", "h1")
        assert ledger.view().restarts == {}


def test_a_failure_of_what_was_worked_on_while_the_plan_was_made_is_kept(tmp_path: Path) -> None:
    """Otherwise a start that fails is tried again at once, and fails again."""
    keys = ("start-domain:VirtualMachine/web@h1", "create-volume:VirtualMachine/web:root@h1", "fetch-image:Image/web")
    with Ledger(tmp_path) as ledger:
        for key in keys:
            ledger.record_failure(Failure(key, 1, "no", permanent=False, not_before=9.5, inputs=""))

        ledger.forget_failures_except((), of=["VirtualMachine/web"])

        assert ledger.view().failures.keys() == set(keys[:2])


def test_silent_guests_are_those_that_were_named_last(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record_silent_guests({"web": 1.5, "db": 2.5})
        ledger.record_silent_guests({"db": 2.5})

    with Ledger.open_readonly(tmp_path) as ledger:
        assert ledger.view().silent_guests == {"db": 2.5}

"""`pause` and `resume`: what is held, what is no object at all, and what is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.ledger.records import RAN_TWICE, LedgerEvent
from reconciler.ledger.store import Ledger
from reconciler.model.ledger import Failure
from tests.unit.cli.calling import EMPTY, invoke
from tests.unit.cli.plans import NOW
from tests.unit.cli.worlds import FakeSession, doors, remember

pytestmark = pytest.mark.usefixtures("_own_environment")


def test_pause_holds_until_resume(tmp_path: Path) -> None:
    outside = doors(FakeSession([EMPTY]))

    invoke("pause", "vm/web-1", onto=outside)
    with Ledger(tmp_path / "state") as ledger:
        held = ledger.view().paused
    invoke("resume", "vm/web-1", onto=outside)

    assert held == {"VirtualMachine/web-1"}
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.view().paused == frozenset()


def test_pause_of_nothing_in_particular_holds_the_fleet(tmp_path: Path) -> None:
    result = invoke("pause", onto=doors(FakeSession([EMPTY])))

    assert result.exit_code == 0
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.view().paused == {"fleet"}


@pytest.fixture
def fleet(specs: Path) -> Path:
    """Specs of one host and one VM that is wrong."""
    head = "apiVersion: reconciler/v1\n"
    (specs / "h1.yaml").write_text(f"{head}kind: Host\nmetadata: {{name: h1}}\nspec: {{uri: 'test:///default'}}\n")
    (specs / "web.yaml").write_text(f"{head}kind: VirtualMachine\nmetadata: {{name: web-1}}\nspec: {{memory: none}}\n")
    return specs


def paused(state: Path) -> frozenset[str]:
    with Ledger(state) as ledger:
        return ledger.view().paused


@pytest.mark.parametrize("name", ["Host/h1", "vm/web-1"])
def test_what_the_specs_name_is_held_even_where_its_spec_is_wrong(fleet: Path, tmp_path: Path, name: str) -> None:
    result = invoke("pause", name, "--specs", fleet)

    assert result.exit_code == 0
    assert len(paused(tmp_path / "state")) == 1


def test_a_slip_of_the_pen_is_not_held(fleet: Path, tmp_path: Path) -> None:
    result = invoke("pause", "vm/web1", "--specs", fleet)

    assert result.exit_code == 1
    assert (
        "VirtualMachine/web1: nothing of that name is in the specs or the history, so nothing is held" in result.stderr
    )
    assert "did you mean VirtualMachine/web-1?" in result.stderr
    assert paused(tmp_path / "state") == frozenset()


def test_a_name_of_another_kind_is_suggested(fleet: Path) -> None:
    result = invoke("pause", "vm/h1", "--specs", fleet)

    assert "did you mean Host/h1?" in result.stderr


def test_what_left_the_specs_can_be_held(fleet: Path, tmp_path: Path) -> None:
    remember(tmp_path / "state", LedgerEvent(NOW, "p1", "VirtualMachine/old", "h1", "start-domain done", ""))

    assert invoke("pause", "vm/old", "--specs", fleet).exit_code == 0


def test_an_object_that_was_held_and_never_was_is_still_a_slip_of_the_pen(fleet: Path, tmp_path: Path) -> None:
    (fleet / "web.yaml").unlink()
    remember(tmp_path / "state", LedgerEvent(NOW, "", "VirtualMachine/nope", "", "paused", "by command"))

    assert invoke("pause", "vm/nope", "--specs", fleet).exit_code == 1


def test_where_not_all_specs_can_be_read_the_object_is_held_with_a_warning(fleet: Path, tmp_path: Path) -> None:
    (fleet / "more.yaml").write_text("a: [", encoding="utf-8")

    result = invoke("pause", "vm/new", "--specs", fleet)

    assert result.exit_code == 0
    assert "warning: VirtualMachine/new is not known" in result.stderr
    assert paused(tmp_path / "state") == {"VirtualMachine/new"}


def test_without_specs_the_object_is_held_with_a_warning(tmp_path: Path) -> None:
    result = invoke("pause", "vm/new")

    assert "warning: VirtualMachine/new is not known" in result.stderr
    assert paused(tmp_path / "state") == {"VirtualMachine/new"}


def test_the_warning_says_that_a_slip_of_the_pen_protects_nothing_and_how_to_take_it_back() -> None:
    result = invoke("pause", "vm/new")

    assert "it protects nothing: take it back with reconciler resume VirtualMachine/new" in result.stderr


def test_a_host_that_was_ever_read_is_known_without_specs(tmp_path: Path) -> None:
    with Ledger(tmp_path / "state") as ledger:
        ledger.note_host_read({"h1": 0.1})

    result = invoke("pause", "Host/h1")

    assert (result.exit_code, result.stderr) == (0, "")
    assert paused(tmp_path / "state") == {"Host/h1"}


def test_what_is_held_and_in_no_spec_is_told_of_with_how_to_take_it_back(fleet: Path) -> None:
    invoke("pause", "vm/web-9")

    result = invoke("pause", "vm/web-9", "--specs", fleet)

    assert result.exit_code == 1
    assert "VirtualMachine/web-9 is held, and in neither the specs nor the history" in result.stderr
    assert "reconciler resume VirtualMachine/web-9" in result.stderr


# -- trying again ------------------------------------------------------------------------------------------------------

FAILED = (
    "start-pool:StoragePool/vms@h1",
    "start-pool:StoragePool/vms@h2",
    "create-volume:VirtualMachine/web-1:root@h1",
    "start-domain:VirtualMachine/web-10@h1",
    "fence-host:Host/h1",
)


@pytest.mark.parametrize(
    ("target", "forgotten"),
    [
        ("StoragePool/vms", FAILED[:2]),
        ("vm/web-1", FAILED[2:3]),
        ("Host/h1", (FAILED[0], *FAILED[2:])),
        (None, FAILED),
    ],
)
def test_resume_has_what_failed_tried_again_at_once(
    tmp_path: Path, target: str | None, forgotten: tuple[str, ...]
) -> None:
    with Ledger(tmp_path / "state") as ledger:
        for key in FAILED:
            ledger.record_failure(Failure(key, 3, "no", permanent=True, not_before=NOW, inputs=""))

    result = invoke("resume", *([target] if target else []))

    assert "tried again" in result.stdout
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.view().failures.keys() == set(FAILED) - set(forgotten)


def test_resume_of_what_neither_failed_nor_is_held_says_so() -> None:
    result = invoke("resume", "vm/web-1")

    assert "VirtualMachine/web-1 was not held, and nothing of it had failed" in result.stdout


def test_the_history_tells_who_has_held_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")

    invoke("pause")

    with Ledger(tmp_path / "state") as ledger:
        assert ledger.events("fleet")[0].message == "by ann"


def test_resume_is_the_end_of_what_is_told_of_a_vm_that_ran_twice(tmp_path: Path) -> None:
    with Ledger(tmp_path / "state") as ledger:
        for name in ("web-1", "web-2"):
            ledger.record_event(LedgerEvent(NOW, "", f"VirtualMachine/{name}", "h1", RAN_TWICE, "check its disks"))

    result = invoke("resume", "vm/web-1")

    assert "VirtualMachine/web-1: that it ran twice is told no more" in result.stdout
    with Ledger(tmp_path / "state") as ledger:
        assert ledger.view().ran_twice == {"web-2": "check its disks"}

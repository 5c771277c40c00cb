"""What passes were decided from is kept for the controller's user, in bounds, and reads back as it was."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.daemon.pass_codec import PassInput, decode, encode, pass_input
from reconciler.daemon.pass_inputs import PassArchive, PassInputs
from reconciler.daemon.view import View
from reconciler.errors import UsageError
from reconciler.planner.fleet_status import fleet_status
from tests.support.fleets import FLEET, NOW, POLICY, Story, story, vm


def kept_of(fleet: Story, name: str = "abc") -> PassInput:
    return pass_input(name, fleet.specs, fleet.inventory, fleet.ledger, POLICY, fleet.plan(), fleet.now)


def view_of(fleet: Story) -> View:
    plan = fleet.plan()
    status = fleet_status(fleet.specs, fleet.inventory, fleet.ledger, POLICY, plan, NOW)
    return View(fleet.specs, fleet.inventory, fleet.ledger, plan, status, NOW)


def noted(state_dir: Path, *passes: tuple[str, Story]) -> tuple[str, ...]:
    """Ids of those that were kept, newest first."""
    inputs = PassInputs(PassArchive(state_dir), POLICY)
    for pass_id, fleet in passes:
        inputs.note(pass_id, view_of(fleet))
    inputs.close()
    return PassArchive(state_dir).ids()


def test_a_kept_pass_is_found_by_its_id(tmp_path: Path) -> None:
    kept = kept_of(story(vm()))

    PassArchive(tmp_path).keep(kept)

    assert PassArchive(tmp_path).load("abc") == kept


def test_a_pass_is_read_from_a_file_that_was_copied_elsewhere(tmp_path: Path) -> None:
    kept = kept_of(story(vm()))
    copy = PassArchive(tmp_path).keep(kept).rename(tmp_path / "copy")

    assert PassArchive(tmp_path / "other").load(str(copy)) == kept


def test_files_with_first_boot_secrets_are_for_one_user_alone(tmp_path: Path) -> None:
    path = PassArchive(tmp_path).keep(kept_of(story(vm(cloudInit={"userData": "#cloud-config\npassword: x"}))))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_only_so_many_passes_are_kept(tmp_path: Path) -> None:
    archive = PassArchive(tmp_path, files=3)

    for number in range(5):
        archive.keep(kept_of(story(vm()), f"p{number}"))

    assert archive.ids() == ("p4", "p3", "p2")


def test_only_so_many_bytes_are_kept_but_always_the_newest(tmp_path: Path) -> None:
    archive = PassArchive(tmp_path, size=1)

    for number in range(3):
        archive.keep(kept_of(story(vm()), f"p{number}"))

    assert archive.ids() == ("p2",)


def test_a_write_that_was_cut_off_is_neither_taken_for_a_pass_nor_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "passes").mkdir()
    (tmp_path / "passes" / "abc.partial").write_bytes(b"half" * 1000)

    PassArchive(tmp_path).keep(kept_of(story(vm())))

    assert PassArchive(tmp_path).load("abc") == kept_of(story(vm()))
    assert not list((tmp_path / "passes").glob("*.partial"))


def test_a_pass_with_actions_is_kept(tmp_path: Path) -> None:
    assert noted(tmp_path, ("one", story(vm()))) == ("one",)


def test_a_pass_that_found_all_as_it_was_is_not_kept(tmp_path: Path) -> None:
    fleet = story(vm()).converged()

    assert noted(tmp_path, ("one", fleet), ("two", fleet)) == ()


def test_a_pass_with_a_new_reason_is_kept_once(tmp_path: Path) -> None:
    waiting = story(vm()).converged().losing_sight_of("h1", "h2")

    assert noted(tmp_path, ("one", waiting), ("two", waiting)) == ("one",)


def test_a_pass_after_which_a_reason_is_gone_is_kept(tmp_path: Path) -> None:
    well = story(vm()).converged()

    assert noted(tmp_path, ("one", well.losing_sight_of("h1")), ("two", well)) == ("two", "one")


def test_passes_go_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "passes").write_text("in the way")
    inputs = PassInputs(PassArchive(tmp_path), POLICY)

    inputs.note("one", view_of(story(vm())))
    inputs.close()

    assert (tmp_path / "passes").read_text() == "in the way"


def test_an_unknown_pass_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    PassArchive(tmp_path).keep(kept_of(story(vm()), "known"))

    with pytest.raises(UsageError, match="known"):
        PassArchive(tmp_path).load("unknown")


def test_a_pass_of_another_format_is_refused_with_the_version_that_reads_it() -> None:
    other = replace(kept_of(story(vm())), format=99, program="9.9.0")

    with pytest.raises(UsageError, match=r"replay it with reconciler 9\.9\.0"):
        decode(encode(other), "a file")


def test_a_pass_whose_values_do_not_fit_is_refused_with_the_version_that_reads_it() -> None:
    raw = msgspec.msgpack.decode(gzip.decompress(encode(kept_of(story(vm())))), strict=False)
    raw["inventory"] = 7

    with pytest.raises(UsageError, match="does not fit"):
        decode(gzip.compress(msgspec.msgpack.encode(raw)), "a file")


@pytest.mark.parametrize(
    "data",
    [b"", b"not a pass", gzip.compress(b"\xff"), encode(kept_of(story(vm())))[:-20]],
    ids=["empty", "text", "something else compressed", "cut off"],
)
def test_what_is_no_pass_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(UsageError, match="a file"):
        decode(data, "a file")


def test_the_fleet_is_part_of_what_is_kept() -> None:
    assert decode(encode(kept_of(story(vm()))), "a file").policy.fleet == FLEET

"""Where specs turn bad, what was good stays, and nothing is taken for removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from reconciler.model.resource import ObjectRef
from tests.unit.specfiles.fleets import BASE, codes, load_fleet, vm, write

WEB = ObjectRef("VirtualMachine", "web-1")


def test_a_half_written_file_leaves_its_objects_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB"), db=vm("db-1"))
    first = load_fleet(tmp_path)
    write(tmp_path, web="apiVersion: reconciler/v1\nkind: Virt: [", db=vm("db-1", "memory: 2GiB"))

    second = load_fleet(tmp_path, first)

    assert second.vms["web-1"] == first.vms["web-1"]
    assert second.unusable[WEB].code == "S010"
    assert second.vms["db-1"].spec.memory == 2 << 30


def test_an_object_that_turned_invalid_keeps_its_last_good_form_however_long(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB"))
    loaded = load_fleet(tmp_path)
    for memory in ("1", "2", "3"):
        write(tmp_path, web=vm("web-1", f"memory: {memory}"))
        loaded = load_fleet(tmp_path, loaded)

    assert loaded.vms["web-1"].spec.memory == 1 << 30
    assert list(loaded.unusable) == [WEB]


def test_what_leaves_the_specs_beside_a_mistake_is_not_removed_before_that_is_mended(tmp_path: Path) -> None:
    """As with a look that remembers nothing: whoever looks first must be told what the daemon will do."""
    write(tmp_path, base=BASE, web=vm("web-1"), db=vm("db-2"))
    first = load_fleet(tmp_path)
    write(tmp_path, web=vm("web-1", "memory: 2"))
    (tmp_path / "db.yaml").unlink()

    second = load_fleet(tmp_path, first)
    write(tmp_path, web=vm("web-1"))
    third = load_fleet(tmp_path, second)

    assert "web.yaml" in second.removal_hold
    assert third.removal_hold == ""


def test_a_name_that_was_copied_over_another_removes_nothing(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1"), db=vm("db-2"))
    first = load_fleet(tmp_path)
    write(tmp_path, db=vm("web-1"))

    second = load_fleet(tmp_path, first)

    assert second.vms["web-1"] == first.vms["web-1"]
    assert second.removal_hold


def test_a_mended_object_is_usable_again(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB"))
    first = load_fleet(tmp_path)
    write(tmp_path, web=vm("web-1", "memory: 2"))
    second = load_fleet(tmp_path, first)
    write(tmp_path, web=vm("web-1", "memory: 2GiB"))

    third = load_fleet(tmp_path, second)

    assert third.vms["web-1"].spec.memory == 2 << 30
    assert (third.unusable, third.problems) == ({}, ())


def test_an_object_whose_name_became_unreadable_is_not_taken_for_removed(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1") + "---\n" + vm("web-2"))
    first = load_fleet(tmp_path)
    write(tmp_path, web=vm("web-1").replace("name: web-1", "nmae: web-1") + "---\n" + vm("web-2"))

    second = load_fleet(tmp_path, first)

    assert second.vms["web-1"] == first.vms["web-1"]
    assert (list(second.unusable), bool(second.removal_hold)) == ([WEB], True)


def test_an_object_that_left_a_good_file_is_gone(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1") + "---\n" + vm("web-2"))
    first = load_fleet(tmp_path)
    write(tmp_path, web=vm("web-2"))

    second = load_fleet(tmp_path, first)

    assert list(second.vms) == ["web-2"]
    assert (second.unusable, second.removal_hold) == ({}, "")


def test_at_a_cold_start_a_broken_file_holds_all_removals(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web="kind: [")

    loaded = load_fleet(tmp_path)

    assert "web.yaml:" in loaded.removal_hold


def test_an_object_never_seen_good_is_named_as_unusable_and_holds_removals(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 2"))

    loaded = load_fleet(tmp_path)

    assert list(loaded.unusable) == [WEB]
    assert "VirtualMachine/web-1" in loaded.removal_hold


def test_a_directory_that_is_gone_removes_nothing(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    first = load_fleet(write(fleet, base=BASE, web=vm("web-1")))
    shutil.rmtree(fleet)

    second = load_fleet(fleet, first)

    assert second.vms == first.vms
    assert (codes(second), bool(second.removal_hold)) == (["S001"], True)


def test_a_directory_that_became_empty_removes_nothing_and_is_read_again_when_it_is_back(tmp_path: Path) -> None:
    first = load_fleet(write(tmp_path, base=BASE, web=vm("web-1")))
    for path in tmp_path.iterdir():
        path.unlink()

    second = load_fleet(tmp_path, first)
    third = load_fleet(write(tmp_path, base=BASE, db=vm("db-1")), second)

    assert (second.vms, codes(second), bool(second.removal_hold)) == (first.vms, ["S002"], True)
    assert (list(third.vms), third.problems, third.removal_hold) == (["db-1"], (), "")


def test_an_empty_directory_at_a_cold_start_wants_nothing_and_removes_nothing(tmp_path: Path) -> None:
    loaded = load_fleet(tmp_path)

    assert (dict(loaded.vms), codes(loaded), bool(loaded.removal_hold)) == ({}, ["S002"], True)


def test_a_second_claimant_of_a_name_stops_neither_the_first_nor_others(tmp_path: Path) -> None:
    first = load_fleet(write(tmp_path, base=BASE, web=vm("web-1"), db=vm("db-1")))
    write(tmp_path, copy=vm("web-1", "memory: 8GiB"), db=vm("db-1", "memory: 2GiB"))

    second = load_fleet(tmp_path, first)

    assert (second.vms["web-1"], list(second.unusable)) == (first.vms["web-1"], [WEB])
    assert second.vms["db-1"].spec.memory == 2 << 30
    assert codes(second) == ["S030", "S030"]


def test_a_vm_goes_on_while_the_last_good_form_of_its_pool_stands(tmp_path: Path) -> None:
    spec = "memory: 1GiB, disks: [{name: root, pool: vms, size: 1GiB}]"
    first = load_fleet(write(tmp_path, base=BASE, web=vm("web-1", spec)))
    write(
        tmp_path, base=BASE.replace("type: dir", "type: dirr"), web=vm("web-1", spec.replace("memory: 1", "memory: 2"))
    )

    second = load_fleet(tmp_path, first)

    assert second.vms["web-1"].spec.memory == 2 << 30
    assert [str(ref) for ref in second.unusable] == ["StoragePool/vms"]

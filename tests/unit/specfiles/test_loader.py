"""A directory of specs becomes a desired state, or problems at their exact places."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.model.resource import ObjectRef
from tests.unit.specfiles.fleets import BASE, codes, load_fleet, only, summary, vm, write


def test_objects_of_all_files_are_there_by_kind_and_name(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1") + "---\n" + vm("web-2"))
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", db=vm("db-1"))

    loaded = load_fleet(tmp_path)

    assert list(loaded.hosts) == ["h1", "h2"]
    assert (list(loaded.pools), list(loaded.networks), list(loaded.images)) == (["vms"], ["lan"], ["debian"])
    assert list(loaded.vms) == ["db-1", "web-1", "web-2"]
    assert (loaded.problems, loaded.unusable, loaded.removal_hold) == ((), {}, "")


def test_each_object_knows_where_it_stands(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web="# two\n---\n" + vm("web-1") + "---\n\n# second\n" + vm("web-2"))

    loaded = load_fleet(tmp_path)

    sources = {str(ref): (Path(source.file).name, source.line) for ref, source in loaded.sources.items()}
    assert sources["VirtualMachine/web-1"] == ("web.yaml", 3)
    assert sources["VirtualMachine/web-2"] == ("web.yaml", 10)
    assert sources["Host/h2"] == ("base.yaml", 6)


def test_all_mistakes_of_all_files_are_reported_together_and_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        base=BASE,
        b=vm("b", "memory: 2, cpu: {count: two}"),
        a=vm("a", "memroy: 2GiB"),
        c="kind: VirtualMachin\n",
        d="a: b\n c: d\n",
    )

    loaded = load_fleet(tmp_path)

    assert [summary(problem) for problem in loaded.problems] == [
        ("a.yaml", 4, 8, "S014", "VirtualMachine/a", "spec.memroy"),
        ("b.yaml", 4, 16, "S019", "VirtualMachine/b", "spec.memory"),
        ("b.yaml", 4, 32, "S016", "VirtualMachine/b", "spec.cpu.count"),
        ("c.yaml", 1, 7, "S012", "", "kind"),
        ("d.yaml", 2, 3, "S010", "", ""),
    ]


def test_a_mistake_in_one_object_holds_up_no_other(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 2") + "---\n" + vm("web-2"))

    loaded = load_fleet(tmp_path)

    assert list(loaded.vms) == ["web-2"]
    assert list(loaded.unusable) == [ObjectRef("VirtualMachine", "web-1")]


def test_the_line_is_given_with_what_to_mark(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB, runStrategy: Allways"))

    problem = only(load_fleet(tmp_path))

    marked = problem.snippet[problem.where.column - 1 :][: problem.width]
    assert (marked, problem.suggestion) == ("Allways", "Always")


def test_snake_case_is_not_a_second_spelling(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB, run_strategy: Always"))

    problem = only(load_fleet(tmp_path))

    assert (problem.code, problem.suggestion) == ("S014", "runStrategy")


def test_empty_documents_are_no_objects(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, empty="", comment="# nothing yet\n", more="---\n---\n" + vm("web-1"))

    loaded = load_fleet(tmp_path)

    assert list(loaded.vms) == ["web-1"]
    assert loaded.problems == ()


def test_words_and_macs_keep_their_yaml_1_2_meaning(tmp_path: Path) -> None:
    spec = (
        "memory: 1GiB, disks: [{name: root, pool: vms, size: 1GiB}], networks: [{network: lan, mac: 52:54:00:00:00:10}]"
    )
    write(tmp_path, base=BASE, web=vm("web-1", spec, "{country: NO, ratio: '1:20'}"))

    loaded = load_fleet(tmp_path)

    assert loaded.vms["web-1"].metadata.labels == {"country": "NO", "ratio": "1:20"}
    assert loaded.vms["web-1"].spec.networks[0].mac == "52:54:00:00:00:10"


def test_image_paths_start_at_the_spec_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    write(tmp_path / "images", base=BASE)

    loaded = load_fleet(tmp_path)

    assert loaded.images["debian"].spec.source.path == str(tmp_path / "images/debian.qcow2")


def test_unchanged_files_are_not_validated_again(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1"), db=vm("db-1"))
    first = load_fleet(tmp_path)
    write(tmp_path, web=vm("web-1", "memory: 2GiB"))

    second = load_fleet(tmp_path, first)

    assert second.vms["db-1"] is first.vms["db-1"]
    assert second.vms["web-1"].spec.memory == 2 << 30


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB"))
    first = load_fleet(tmp_path)
    before = (tmp_path / "web.yaml").stat()
    write(tmp_path, web=vm("web-1", "memory: 2GiB"))
    os.utime(tmp_path / "web.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))

    assert load_fleet(tmp_path, first).vms["web-1"].spec.memory == 2 << 30


def test_loading_twice_says_the_same(tmp_path: Path) -> None:
    write(
        tmp_path,
        base=BASE,
        a=vm("a", "memory: 2"),
        b=vm("b", "memory: 1GiB, disks: [{name: d, pool: vmz, size: 1GiB}]"),
    )
    first = load_fleet(tmp_path)

    assert load_fleet(tmp_path, first) == first == load_fleet(tmp_path)


def test_alias_bombs_and_deep_nesting_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    write(
        tmp_path,
        base=BASE,
        bomb=bomb,
        deep="a: " + "[" * 5000 + "]" * 5000 + "\n",
        tag="a: !!python/object:os.system x\n",
    )

    loaded = load_fleet(tmp_path)

    assert codes(loaded) == ["S010", "S010", "S010"]

"""Checks across files: references, claims, disks, places to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import UnsafeImage
from reconciler.model.identity import nic_mac
from tests.unit.specfiles.fleets import BASE, codes, document, load_fleet, only, vm, write

DISK = "disks: [{name: root, image: debian, pool: vms, size: 10GiB}]"


@pytest.mark.parametrize(
    ("spec", "field", "message", "suggestion"),
    [
        (
            "memory: 1GiB, disks: [{name: root, pool: vmz, size: 1GiB}]",
            "spec.disks[0].pool",
            "there is no StoragePool/vmz; did you mean `vms`?",
            "vms",
        ),
        (
            "memory: 1GiB, disks: [{name: root, pool: vms, image: xyz}]",
            "spec.disks[0].image",
            "there is no Image/xyz; the specs have debian",
            "",
        ),
        (
            "memory: 1GiB, networks: [{network: lam}]",
            "spec.networks[0].network",
            "there is no Network/lam; did you mean `lan`?",
            "lan",
        ),
        (
            "memory: 1GiB, placement: {hosts: [h1, h7]}",
            "spec.placement.hosts[1]",
            "there is no Host/h7; the specs have h1, h2",
            "",
        ),
    ],
)
def test_a_name_of_nothing_is_an_error_with_what_was_probably_meant(
    tmp_path: Path, spec: str, field: str, message: str, suggestion: str
) -> None:
    problem = only(load_fleet(write(tmp_path, base=BASE, web=vm("web-1", spec))))

    assert (problem.code, problem.field, problem.message, problem.suggestion) == ("S032", field, message, suggestion)


def test_a_pool_that_names_an_unknown_host_is_refused(tmp_path: Path) -> None:
    pool = document("StoragePool", "p", "type: dir, target: /p, hosts: {names: [h1, h77]}")

    problem = only(load_fleet(write(tmp_path, base=BASE, p=pool)))

    assert (problem.code, problem.field) == ("S032", "spec.hosts.names[1]")


def test_all_claimants_of_a_name_are_refused_and_each_names_the_other(tmp_path: Path) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, a=vm("web-1"), b=vm("web-1"), c=vm("web-2")))

    assert codes(loaded) == ["S030", "S030"]
    assert "b.yaml:1" in loaded.problems[0].message
    assert list(loaded.vms) == ["web-2"]


def test_the_same_name_in_two_kinds_is_no_claim(tmp_path: Path) -> None:
    assert codes(load_fleet(write(tmp_path, base=BASE, a=vm("lan")))) == []


def test_all_claimants_of_a_mac_are_refused_written_or_derived(tmp_path: Path) -> None:
    derived = nic_mac("test", "a", 0)
    write(
        tmp_path,
        base=BASE,
        a=vm("a", "memory: 1GiB, networks: [{network: lan}]"),
        b=vm("b", f"memory: 1GiB, networks: [{{network: lan}}, {{network: lan, mac: '{derived}'}}]"),
        c=vm("c", "memory: 1GiB, networks: [{network: lan}]"),
    )

    loaded = load_fleet(tmp_path)

    assert [(problem.code, problem.target) for problem in loaded.problems] == [
        ("S031", "VirtualMachine/a"),
        ("S031", "VirtualMachine/b"),
    ]
    assert list(loaded.vms) == ["c"]


def _renamed(name: str, previous: str) -> str:
    return vm(name).replace(f"name: {name}", f"name: {name}, previousName: {previous}", 1)


@pytest.mark.parametrize(
    "other",
    [vm("web"), _renamed("store", "web"), _renamed("web", "shop")],
    ids=["one of its first name", "one that was made as the same", "each the other's"],
)
def test_nobody_else_has_the_name_that_a_vm_was_made_with(tmp_path: Path, other: str) -> None:
    """It would have the same UUID and volumes."""
    write(tmp_path, base=BASE, a=_renamed("shop", "web"), b=other)

    loaded = load_fleet(tmp_path)

    assert {problem.code for problem in loaded.problems} >= {"S030"}
    assert "previousName" in {problem.field.rpartition(".")[2] for problem in loaded.problems}
    assert loaded.vms == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Host", "x", "uri: 'qemu+ssh://same/system'"), ("Host", "y", "uri: 'qemu+ssh://same/system'")),
        (("StoragePool", "x", "type: dir, target: /p"), ("StoragePool", "y", "type: dir, target: /p/")),
        (("Network", "x", "mode: nat, subnet: 10.0.0.0/16"), ("Network", "y", "mode: nat, subnet: 10.0.1.0/24")),
    ],
)
def test_two_objects_for_one_thing_are_both_refused(
    tmp_path: Path, one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, one=document(*one), other=document(*other)))

    assert codes(loaded) == ["S037", "S037"]


def test_the_same_directory_on_different_hosts_is_no_claim(tmp_path: Path) -> None:
    one = document("StoragePool", "x", "type: dir, target: /p, hosts: {names: [h1]}")
    other = document("StoragePool", "y", "type: dir, target: /p, hosts: {names: [h2]}")

    assert codes(load_fleet(write(tmp_path, base=BASE, one=one, other=other))) == []


def test_a_disk_smaller_than_its_image_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", f"memory: 1GiB, {DISK}"))

    problem = only(load_fleet(tmp_path, image_size=lambda _path, _format: (20 << 30) + 1))

    assert (problem.code, problem.field) == ("S033", "spec.disks[0].size")
    assert "write 21GiB or more" in problem.message


def test_a_disk_that_holds_its_image_is_right(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", f"memory: 1GiB, {DISK}"))

    assert codes(load_fleet(tmp_path, image_size=lambda _path, _format: 10 << 30)) == []


def test_an_image_file_that_is_not_here_is_only_warned_about(tmp_path: Path) -> None:
    def missing(path: Path, _format: str) -> int:
        return path.stat().st_size

    loaded = load_fleet(write(tmp_path, base=BASE, web=vm("web-1", f"memory: 1GiB, {DISK}")), image_size=missing)

    assert codes(loaded) == ["S038"]
    assert (list(loaded.images), list(loaded.vms)) == (["debian"], ["web-1"])


def test_an_unsafe_image_is_refused_and_its_vms_wait_without_an_error_of_their_own(tmp_path: Path) -> None:
    def unsafe(_path: Path, _format: str) -> int:
        raise UnsafeImage("has a backing file", hint="flatten it with qemu-img convert")

    loaded = load_fleet(write(tmp_path, base=BASE, web=vm("web-1", f"memory: 1GiB, {DISK}")), image_size=unsafe)

    assert codes(loaded) == ["S039"]
    assert {str(ref): problem.code for ref, problem in loaded.unusable.items()} == {
        "Image/debian": "S039",
        "VirtualMachine/web-1": "S044",
    }


def test_a_logical_pool_takes_raw_disks_only(tmp_path: Path) -> None:
    pool = document("StoragePool", "fast", "type: logical")
    web = vm("web-1", "memory: 1GiB, disks: [{name: root, pool: fast, size: 1GiB}]")

    assert codes(load_fleet(write(tmp_path, base=BASE, pool=pool, web=web))) == ["S043"]


def test_a_vm_that_no_host_can_run_is_refused_with_the_reason_for_each_host(tmp_path: Path) -> None:
    pool = document("StoragePool", "p", "type: dir, target: /p, hosts: {names: [h1]}")
    spec = "memory: 1GiB, disks: [{name: root, pool: p, size: 1GiB}], placement: {nodeSelector: {rack: b}}"

    problem = only(load_fleet(write(tmp_path, base=BASE, p=pool, web=vm("web-1", spec))))

    assert problem.code == "S034"
    assert problem.message == "no host can run this VM: h1 lacks label rack=b, h2 lacks pool p"


def test_a_vm_whose_hosts_are_all_cordoned_is_only_warned_about(tmp_path: Path) -> None:
    base = BASE.replace('h1.example/system"', 'h1.example/system", state: cordoned')
    loaded = load_fleet(write(tmp_path, base=base, web=vm("web-1", "memory: 1GiB, placement: {hosts: [h1]}")))

    assert codes(loaded) == ["S035"]
    assert list(loaded.vms) == ["web-1"]


def test_while_a_host_is_broken_no_vm_is_called_unplaceable(tmp_path: Path) -> None:
    base = BASE.replace('h2.example/system"', 'h2.example/system", stat: active')
    loaded = load_fleet(
        write(tmp_path, base=base, web=vm("web-1", "memory: 1GiB, placement: {nodeSelector: {rack: b}}"))
    )

    assert codes(loaded) == ["S014"]
    assert list(loaded.vms) == ["web-1"]


def test_a_spread_rule_that_misses_its_own_vm_is_warned_about(tmp_path: Path) -> None:
    web = vm("web-1", "memory: 1GiB, placement: {spread: {app: web}}", "{app: wbe}")

    problem = only(load_fleet(write(tmp_path, base=BASE, web=web)))

    assert (problem.code, problem.severity) == ("S036", "warning")


def test_more_vms_in_a_spread_rule_than_hosts_is_warned_about_once(tmp_path: Path) -> None:
    spec = "memory: 1GiB, placement: {spread: {app: web}}"
    files = {f"web-{number}": vm(f"web-{number}", spec, "{app: web}") for number in range(3)}

    problem = only(load_fleet(write(tmp_path, base=BASE, **files)))

    assert "3 VMs share the rule app=web, but only 2 hosts" in problem.message


def test_without_any_host_the_vm_is_refused(tmp_path: Path) -> None:
    problem = only(load_fleet(write(tmp_path, web=vm("web-1"))))

    assert (problem.code, problem.message) == ("S034", "there is no Host in the specs; write one for each machine")

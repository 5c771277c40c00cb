"""Mistakes are told in plain words, with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.specfiles.fleets import BASE, document, load_fleet, only, vm, write

JARGON = ("Input should", "valid string", "Value error", "Extra inputs", "Field required", "pydantic")

VM_MISTAKES = {
    "memory: 2": "S019 spec.memory: 2 is not a size; write a whole number and KiB, MiB, GiB or TiB, such as 2GiB",
    "memory: 2G": "S019 spec.memory: '2G' is not a size; write 2GiB",
    "memory: 1.5GiB": (
        "S019 spec.memory: '1.5GiB' is not a size; write a whole number and KiB, MiB, GiB or TiB, such as 2GiB"
    ),
    "memory: ": "S016 spec.memory: no value given; write a whole number and KiB, MiB, GiB or TiB, such as 2GiB",
    "memroy: 1GiB": "S014 spec.memroy: unknown field; did you mean `memory`?",
    "runStrategy: Always": "S015 spec.memory: required, and missing; add it, such as memory: 2GiB",
    "memory: 1GiB, cpu: {count: two}": (
        "S016 spec.cpu.count: 'two' is not a whole number from 1 to 710; write one such as 2"
    ),
    "memory: 1GiB, cpu: {count: 1.5}": (
        "S016 spec.cpu.count: 1.5 is not a whole number from 1 to 710; write one such as 2"
    ),
    "memory: 1GiB, cpu: {count: 0}": "S018 spec.cpu.count: 0 is too small; the least is 1",
    "memory: 1GiB, cpu: {count: 4, max: 2}": "S020 spec.cpu: max 2 is less than count 4",
    "memory: 1GiB, cpu: 4": "S016 spec.cpu: 4 is not a mapping; write key: value lines, indented below",
    "memory: 1GiB, firmware: uefy": (
        "S017 spec.firmware: 'uefy' is not possible here; did you mean `uefi`?"
        " The possible values are bios, uefi, uefi-secure"
    ),
    "memory: 1GiB, networks: [{network: lan, link: on}]": (
        "S017 spec.networks[0].link: 'on' is not possible here; did you mean `up`? The possible values are up, down"
    ),
    "memory: 1GiB, networks: lan": (
        "S016 spec.networks: 'lan' is not a list; begin each item with '- ', or write [A, B]"
    ),
    "memory: 1GiB, ha: {enabled: yes}": "S016 spec.ha.enabled: 'yes' is not true or false; write one such as true",
    "memory: 1GiB, placement: {nodeSelector: {rack: 1}}": (
        'S016 spec.placement.nodeSelector.rack: 1 is not text; write it in quotes: "1"'
    ),
    "memory: 1GiB, placement: {nodeSelector: {rack: true}}": (
        'S016 spec.placement.nodeSelector.rack: true is not text; write it in quotes: "true"'
    ),
    "memory: 1GiB, networks: [{network: lan, mac: 53:54:00:00:00:01}]": (
        "S019 spec.networks[0].mac: 53:54:00:00:00:01 is a multicast address; the first pair must be even, such as 52"
    ),
    "memory: 1GiB, disks: [{name: root, pool: vms}]": (
        "S020 spec.disks[0]: an empty disk needs a size, such as size: 20GiB"
    ),
}


@pytest.mark.parametrize(("spec", "expected"), VM_MISTAKES.items())
def test_a_mistake_in_a_vm_is_told_with_what_would_be_right(tmp_path: Path, spec: str, expected: str) -> None:
    problem = only(load_fleet(write(tmp_path, base=BASE, web=vm("web-1", spec))))

    assert f"{problem.code} {problem.field}: {problem.message}" == expected


def test_a_label_that_is_too_long_is_told_how_long_one_may_be(tmp_path: Path) -> None:
    spec = f"memory: 1GiB, placement: {{nodeSelector: {{rack: {'r' * 1025}}}}}"

    problem = only(load_fleet(write(tmp_path, base=BASE, web=vm("web-1", spec))))

    assert (problem.code, problem.message) == ("S018", "1025 characters are too many; the most is 1024")


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        (document("Host", "h9", "uri: h9"), "S019", "use qemu+ssh://HOST/system"),
        (document("Host", "h9", "uri: 'qemu+ssh://h9/system?no_verify=1'"), "S019", "'no_verify' is not allowed"),
        (document("Host", "h9", "uri: 'qemu+ssh://h9/system?command=/bin/sh'"), "S019", "'command' is not allowed"),
        (document("Host", "h9", "uri: 'qemu+ssh://h9/system?known_hosts=/k'"), "S019", "'known_hosts' has no effect"),
        (document("Host", "h9", "uri: 'qemu:///system', fencing: [{agent: /bin/sh}]"), "S019", "fence_ipmilan"),
        (document("StoragePool", "p", "type: dir"), "S020", "such as target: /srv/vms"),
        (document("StoragePool", "p", "type: dir, target: ../etc"), "S019", "is not an absolute path"),
        (document("Network", "n", "mode: nat, subnet: 10.0.0.1/24"), "S019", "10.0.0.1/24 has host bits set"),
        (document("Image", "i", "source: {url: 'ftp://x/y'}, format: raw"), "S019", "only https://"),
        (document("Image", "i", "source: {url: 'https://x/y'}, format: raw"), "S020", "a url needs a checksum"),
        (vm("../etc"), "S019", "is not a name; use lowercase letters"),
        (vm('"web\\n1"'), "S019", "is not a name; use lowercase letters"),
        (vm("'wеb-1'"), "S019", "is not a name; use lowercase letters"),
        (vm("web-1").replace("VirtualMachine", "Virtualmachine"), "S012", "did you mean `VirtualMachine`?"),
        (vm("web-1").replace("reconciler/v1", "v1"), "S013", "write reconciler/v1"),
        ("- a\n", "S011", "a list is not an object"),
        (vm("web-1").replace("apiVersion: reconciler/v1\n", ""), "S013", "add apiVersion: reconciler/v1"),
        (vm("web-1").replace("kind: VirtualMachine\n", ""), "S012", "add kind: one of Host, StoragePool"),
    ],
)
def test_a_mistake_in_any_kind_is_told_in_plain_words(tmp_path: Path, text: str, code: str, part: str) -> None:
    problem = only(load_fleet(write(tmp_path, base=BASE, x=text)))

    assert problem.code == code
    assert part in problem.message
    assert not any(word in problem.message for word in JARGON)


def test_a_name_that_can_be_mended_is_suggested(tmp_path: Path) -> None:
    problem = only(load_fleet(write(tmp_path, base=BASE, web=vm("Web_1"))))

    assert problem.suggestion == "web-1"


def test_no_raw_xml_emulator_or_host_path_can_be_expressed(tmp_path: Path) -> None:
    for field in ("emulator", "kernel", "xml", "qemuCommandline", "hostdevs", "filesystems", "seclabel"):
        problem = only(load_fleet(write(tmp_path, base=BASE, web=vm("web-1", f"memory: 1GiB, {field}: x"))))

        assert (problem.code, problem.field) == ("S014", f"spec.{field}")


@pytest.mark.parametrize(
    ("secrets", "right"),
    [("{password: Sesame}", "write {file: NAME}"), ("Sesame", "write {password: {file: NAME}}")],
)
def test_a_secret_that_was_written_out_is_to_be_named_instead_and_is_not_shown(
    tmp_path: Path, secrets: str, right: str
) -> None:
    level = f"{{agent: fence_ipmilan, parameters: {{ip: 10.1.0.11}}, secrets: {secrets}}}"
    text = document("Host", "h1", f"uri: qemu:///system, fencing: [{level}]")

    problem = only(load_fleet(write(tmp_path, h1=text)))

    assert right in problem.message
    assert "Sesame" not in problem.message + problem.snippet

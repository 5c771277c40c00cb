"""All errors of a run together: an object's own mistakes do not hide what else is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import UnsafeImage
from reconciler.model.identity import nic_mac
from reconciler.model.resource import ObjectRef
from reconciler.specfiles.loader import LoadedSpecs
from tests.unit.specfiles.fleets import BASE, codes, document, load_fleet, only, summary, vm, write

WEB = ObjectRef("VirtualMachine", "web-1")
SECRET = "correct-horse"  # noqa: S105 - what must not be shown


def said(loaded: LoadedSpecs) -> list[tuple[str, str]]:
    """Code and field of each problem, in order."""
    return [(problem.code, problem.field) for problem in loaded.problems]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "memroy: 2GiB, networks: [{network: lam}]",
            [("S014", "spec.memroy"), ("S032", "spec.networks[0].network")],
        ),
        (
            "memory: 2GB, networks: [{network: lam}]",
            [("S019", "spec.memory"), ("S032", "spec.networks[0].network")],
        ),
        ("networks: [{network: lam}]", [("S015", "spec.memory"), ("S032", "spec.networks[0].network")]),
        (
            'memory: 2GiB, cpu: {cores: "x"}, disks: [{name: root, pool: vmz, image: debain}]',
            [("S014", "spec.cpu.cores"), ("S032", "spec.disks[0].pool"), ("S032", "spec.disks[0].image")],
        ),
        (
            "memory: 2GiB, disks: [{name: data, pool: vmz, size: 10GB}]",
            [("S032", "spec.disks[0].pool"), ("S019", "spec.disks[0].size")],
        ),
        (
            "memory: 2GiB, maxMemory: 1GiB, placement: {hosts: [h1, h9]}",
            [("S020", "spec"), ("S032", "spec.placement.hosts[1]")],
        ),
        (
            "memory: 2GiB, placement: {hosts: [H1, h9]}",
            [("S019", "spec.placement.hosts[0]"), ("S032", "spec.placement.hosts[1]")],
        ),
        (
            "memory: 2GiB, networks: [{network: lan, modle: x}, 5, {network: lam}]",
            [
                ("S014", "spec.networks[0].modle"),
                ("S017", "spec.networks[0].modle"),
                ("S016", "spec.networks[1]"),
                ("S032", "spec.networks[2].network"),
            ],
        ),
        (
            "memory: 2GiB, firmware: uefy, placement: {nodeSelector: {rack: c}}",
            [("S017", "spec.firmware"), ("S034", "spec.placement")],
        ),
        (
            "memory: 2GiB, firmware: uefy, placement: {spread: {app: web}}",
            [("S017", "spec.firmware"), ("S036", "spec.placement.spread")],
        ),
    ],
)
def test_a_vm_with_a_mistake_is_compared_with_the_other_objects_in_the_same_run(
    tmp_path: Path, spec: str, expected: list[tuple[str, str]]
) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, web=vm("web-1", spec)))

    assert said(loaded) == expected
    assert (dict(loaded.vms), list(loaded.unusable)) == ({}, [WEB])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            document("StoragePool", "p", "type: dirr, target: /p, hosts: {names: [h7]}"),
            [("S017", "spec.type"), ("S032", "spec.hosts.names[0]")],
        ),
        (
            document("StoragePool", "p", "type: dir, target: /srv/vms, shard: true"),
            [("S037", "spec.target"), ("S014", "spec.shard")],
        ),
        (
            document("Network", "n", "mode: nat, subnet: 192.168.150.0/25, dchp: true"),
            [("S037", "spec.subnet"), ("S014", "spec.dchp")],
        ),
        (
            document("Host", "h3", "uri: 'qemu+ssh://h1.example/system', state: activ"),
            [("S037", "spec.uri"), ("S017", "spec.state")],
        ),
        (
            document("Host", "h3", "uri: 'qemu+tcp://h3.example/system', state: activ"),
            [("S042", "spec.uri"), ("S017", "spec.state")],
        ),
        (
            vm("web-1", "memroy: 2").replace("apiVersion: reconciler/v1\n", ""),
            [("S013", "apiVersion"), ("S014", "spec.memroy"), ("S019", "spec.memroy")],
        ),
    ],
)
def test_so_is_an_object_of_any_kind(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, x=text))

    assert said(loaded) == expected
    assert set(loaded.hosts) == {"h1", "h2"}


WRONG = vm("web-1", "memroy: 2GiB, networks: [{network: lam}]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            WRONG.replace("reconciler/v1", "reconciler/v2"),
            [("S013", "apiVersion"), ("S014", "spec.memroy"), ("S032", "spec.networks[0].network")],
        ),
        (
            WRONG.replace("VirtualMachine", "VirtualMachin"),
            [("S012", "kind"), ("S014", "spec.memroy"), ("S032", "spec.networks[0].network")],
        ),
        (
            WRONG.replace("VirtualMachine", "virtualmachine").replace("reconciler/v1", "v1").replace("web-1", "Web"),
            [
                ("S013", "apiVersion"),
                ("S012", "kind"),
                ("S019", "metadata.name"),
                ("S014", "spec.memroy"),
                ("S032", "spec.networks[0].network"),
            ],
        ),
        (
            document("Hots", "h3", "uri: 5, state: activ"),
            [("S012", "kind"), ("S016", "spec.uri"), ("S017", "spec.state")],
        ),
    ],
)
def test_an_object_of_a_mistyped_kind_or_version_is_judged_as_what_was_meant(
    tmp_path: Path, text: str, expected: list[tuple[str, str]]
) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, x=text))

    assert said(loaded) == expected
    assert set(loaded.hosts) == {"h1", "h2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (document("Pod", "Web_1", "memroy: 2"), [("S012", "kind"), ("S019", "metadata.name")]),
        (
            document("StorageVolume", "a", "capacity: 5, size: 2").replace("spec:", "speck: {}\nspec:"),
            [("S012", "kind"), ("S014", "speck")],
        ),
        (
            vm("web-1", "running: true", "[a]").replace("reconciler/v1", "kubevirt.io/v1"),
            [("S013", "apiVersion"), ("S016", "metadata.labels")],
        ),
        ("metadata: {name: a}\n", [("S012", "kind"), ("S013", "apiVersion"), ("S015", "spec")]),
        (vm("web-1").replace("kind:", "Kind:"), [("S014", "Kind")]),
        ("services: {web: {image: nginx}}\n", [("S012", "kind")]),
    ],
)
def test_of_what_is_no_known_kind_that_is_judged_which_all_kinds_have(
    tmp_path: Path, text: str, expected: list[tuple[str, str]]
) -> None:
    assert said(load_fleet(write(tmp_path, base=BASE, x=text))) == expected


def test_what_stands_below_a_mistyped_name_is_judged_at_its_place(tmp_path: Path) -> None:
    web = vm("web-1", "memory: 1GiB, netwroks: [{network: lan}, {netwrok: lam, mac: x}]")

    loaded = load_fleet(write(tmp_path, base=BASE, web=web))

    assert [(*summary(problem)[2:4], problem.field) for problem in loaded.problems] == [
        (22, "S014", "spec.netwroks"),
        (50, "S014", "spec.netwroks[1].netwrok"),
        (59, "S032", "spec.netwroks[1].netwrok"),
        (69, "S019", "spec.netwroks[1].mac"),
    ]


def test_nothing_below_a_mistyped_name_is_shown_that_may_be_secret(tmp_path: Path) -> None:
    web = (
        "apiVersion: reconciler/v1\nkind: VirtualMachine\nmetadata: {name: web-1}\nspec:\n  memory: 1GiB\n"
        f"  clodInit:\n    usrData: {SECRET}\n    netConfig: {SECRET}\n"
    )

    loaded = load_fleet(write(tmp_path, base=BASE, web=web))

    assert said(loaded) == [("S020", "spec"), ("S014", "spec.clodInit")]
    assert SECRET not in str(loaded.problems)


def test_a_name_that_was_probably_not_meant_is_not_judged(tmp_path: Path) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB, cpus: 4")))

    assert said(loaded) == [("S014", "spec.cpus")]


@pytest.mark.parametrize(
    "spec",
    [
        "memory: 1GiB, disks: [{name: root, image: debian, pool: vms, size: 10}]",
        "memory: 1GiB, disks: [{name: root, image: 5, pool: vms, size: 1GiB}]",
        "memory: 1GiB, disks: [{name: root, pool: 5, size: 1GiB}]",
        "memory: 1GiB, disks: [{name: root, pool: fast, size: 1GiB, format: rwa}]",
        "memory: 1GiB, disks: [{name: root, pool: fast, size: 1GiB, kind: raw}]",
        "memory: 1GiB, networks: [{network: 5}]",
        "memory: 1GiB, networks: [lan]",
        "memory: 1GiB, placement: {hosts: [h1, 5], nodeSelector: {rack: b}}",
        "memory: 1GiB, placement: {hosts: h1}",
        "memory: 1GiB, placement: {spread: {app: 1}}",
        "memory: 1GiB, placement: {spread: {app: web}}, labels: {app: web}",
        "memory: 1GiB, cloudInit: {userData: 5}",
    ],
)
def test_nothing_is_said_that_only_follows_from_a_value_that_could_not_be_read(tmp_path: Path, spec: str) -> None:
    write(tmp_path, base=BASE, fast=document("StoragePool", "fast", "type: logical"), web=vm("web-1", spec))

    loaded = load_fleet(tmp_path, image_size=lambda _path, _format: 20 << 30)

    assert len([code for code in codes(loaded) if code < "S030"]) == 1
    assert [code for code in codes(loaded) if code >= "S030"] == []


@pytest.mark.parametrize(
    "pool",
    [
        "type: dir, target: /srv/vms, hosts: {names: h1}",
        "type: dir, target: /srv/vms, hosts: {names: [H1]}",
        "type: dir, target: /srv/vms, hosts: {matchLabels: {rack: 1}}",
        "type: dir, target: /srv/vms, machines: [h3]",
        "type: dier, target: /srv/vms, hosts: {names: [5]}",
    ],
)
def test_a_pool_of_hosts_that_could_not_be_read_claims_no_directory(tmp_path: Path, pool: str) -> None:
    loaded = load_fleet(write(tmp_path, base=BASE, p=document("StoragePool", "p", pool)))

    assert all(code < "S030" for code in codes(loaded))


def test_a_mac_that_could_not_be_read_is_no_claim(tmp_path: Path) -> None:
    a = vm("a", "memory: 1GiB, networks: [{network: lan, mac: 5}]")
    b = vm("b", f"memory: 1G, networks: [{{network: lan, mac: '{nic_mac('test', 'a', 0)}'}}]")

    assert codes(load_fleet(write(tmp_path, base=BASE, a=a, b=b))) == ["S016", "S019"]


def test_a_mac_that_a_broken_vm_claims_too_is_said_at_its_place_and_stops_nobody_else(tmp_path: Path) -> None:
    spec = "networks: [{network: lan, mac: '52:54:00:00:00:10'}]"

    loaded = load_fleet(
        write(tmp_path, base=BASE, a=vm("a", f"memory: 1GiB, {spec}"), b=vm("b", f"memory: 1G, {spec}"))
    )

    assert [(problem.code, problem.target) for problem in loaded.problems] == [
        ("S019", "VirtualMachine/b"),
        ("S031", "VirtualMachine/b"),
    ]
    assert list(loaded.vms) == ["a"]


def test_a_vm_that_fits_no_host_is_told_though_a_host_has_a_mistake(tmp_path: Path) -> None:
    base = BASE.replace('h2.example/system"', 'h2.example/system", state: activ')
    web = vm("web-1", "memory: 1GiB, placement: {nodeSelector: {rack: c}}")

    loaded = load_fleet(write(tmp_path, base=base, web=web))

    assert codes(loaded) == ["S017", "S034"]


@pytest.mark.parametrize("mistake", ["labels: {rack: 3}", "lables: 3", "tags: {rack: c}"])
def test_a_host_whose_labels_could_not_be_read_may_fit_any_vm(tmp_path: Path, mistake: str) -> None:
    base = BASE.replace("labels: {rack: b}", mistake)
    spread = "memory: 1GiB, placement: {spread: {app: x}}"
    files = {f"x-{number}": vm(f"x-{number}", spread, "{app: x}") for number in range(3)}
    web = vm("web-1", "memory: 1GiB, placement: {nodeSelector: {rack: c}}")

    loaded = load_fleet(write(tmp_path, base=base, web=web, **files))

    assert len(loaded.problems) == 1
    assert len(loaded.vms) == 4


def test_a_disk_is_compared_with_an_image_that_has_a_mistake(tmp_path: Path) -> None:
    base = BASE.replace("format: qcow2", "format: qcow2, checksum: md5")
    web = vm("web-1", "memory: 1GiB, disks: [{name: root, image: debian, pool: vms, size: 1GiB}]")

    loaded = load_fleet(write(tmp_path, base=base, web=web), image_size=lambda _path, _format: 2 << 30)

    assert said(loaded) == [("S019", "spec.checksum"), ("S033", "spec.disks[0].size")]


def test_an_unsafe_image_file_is_told_with_the_other_mistakes_of_the_image(tmp_path: Path) -> None:
    def unsafe(_path: Path, _format: str) -> int:
        raise UnsafeImage("has a backing file", hint="flatten it with qemu-img convert")

    base = BASE.replace("format: qcow2", "format: qcow2, checksum: md5")

    assert codes(load_fleet(write(tmp_path, base=base), image_size=unsafe)) == ["S039", "S019"]


def test_objects_that_share_a_name_are_told_what_else_is_wrong_with_them(tmp_path: Path) -> None:
    wrong = vm("web-1", "memory: 1GiB, networks: [{network: lam}]")

    loaded = load_fleet(write(tmp_path, base=BASE, a=wrong, b=vm("web-1")))

    assert said(loaded) == [("S030", "metadata.name"), ("S032", "spec.networks[0].network"), ("S030", "metadata.name")]


def test_no_draft_ever_takes_the_place_of_a_last_good_object(tmp_path: Path) -> None:
    first = load_fleet(write(tmp_path, base=BASE, web=vm("web-1", "memory: 1GiB")))
    write(tmp_path, web=vm("web-1", "memory: 2GiB, networks: [{network: lam}], foo: x"))

    second = load_fleet(tmp_path, first)

    assert second.vms["web-1"] == first.vms["web-1"]
    assert second.unusable[WEB].code == "S014"
    assert codes(second) == ["S032", "S014"]


@pytest.mark.parametrize(
    "network",
    [
        document("Network", "web", "mode: natt"),
        document("Network", "web", "mode: nat, subnet: 10.0.0.0/24").replace("kind: Network", "kind: Netwrok"),
        document("Network", "web", "mode: nat, subnet: 10.0.0.0/24").replace("kind: Network\n", ""),
        document("Network", "web", "mode: nat, subnet: 10.0.0.0/24").replace("reconciler/v1", "reconciler/v9"),
        document("Network", "web", "mode: nat, subnet: 10.0.0.0/24").replace("metadata", "metdata"),
        document("Network", "web", "mode: nat, subnet: 10.0.0.0/24").replace("name: web", "nme: web"),
        document("Network", "[web]", "mode: nat, subnet: 10.0.0.0/24"),
        document("Network", "web", "mode: nat, subnet: [10.0.0.0/24"),
    ],
)
def test_who_refers_to_an_object_with_a_mistake_is_not_told_that_it_does_not_exist(
    tmp_path: Path, network: str
) -> None:
    web = vm("web-1", "memory: 1GiB, networks: [{network: web}]")

    loaded = load_fleet(write(tmp_path, base=BASE, broken=network, web=web))

    assert Path(only(loaded).where.file).name == "broken.yaml"
    assert loaded.unusable[WEB].code == "S044"


def test_a_file_that_is_no_yaml_hides_only_what_stands_in_it(tmp_path: Path) -> None:
    broken = BASE.replace("type: dir,", "type: dir: x,")
    one = vm("one", "memory: 2G, networks: [{network: lan}, {network: lam}], placement: {hosts: [h1]}")
    two = vm("two", "memory: 2GiB, disks: [{name: root, pool: vms, image: debain, size: 2GiB}]")

    loaded = load_fleet(write(tmp_path, base=broken, one=one, two=two))

    assert [(summary(problem)[0], problem.code, problem.field) for problem in loaded.problems] == [
        ("base.yaml", "S010", ""),
        ("one.yaml", "S019", "spec.memory"),
        ("one.yaml", "S032", "spec.networks[1].network"),
        ("two.yaml", "S032", "spec.disks[0].image"),
    ]


def test_what_may_stand_in_a_file_that_may_not_be_read_is_not_called_missing(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, web=vm("web-1", "memory: 2G, networks: [{network: lan}]"))
    (tmp_path / "base.yaml").chmod(0o666)

    assert codes(load_fleet(tmp_path)) == ["S003", "S019"]

"""Domains as virt-install makes them are taken over by their specs without a difference; what is not said is listed.

Each file in `found/` is what `virt-install --print-xml` printed for the command line in its first line, in which a
double dash is written `-&#45;`, as XML has none in comments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml
from msgspec.structs import replace

from reconciler.hypervisor.domain_amend import amend
from reconciler.hypervisor.domain_parse import parse
from reconciler.hypervisor.unexpressed import unexpressed
from reconciler.model.inventory import HostInventory, ObservedDomain
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.adoption_spec import adoption_spec
from reconciler.planner.vm_diff import diff
from reconciler.planner.vm_domain import PoolOnHost, desired_domain, marked
from tests.support.fleets import FLEET, host, observed_host, observed_pool, volume

_FOUND: Final = sorted((Path(__file__).parent / "found").glob("*.xml"))
_REFUSED: Final = {"usb-disk": "of type user", "headless-serial": "console log"}
"""What can't be taken over without a change, and the word that says why."""
_POOLS: Final = {"default": "/var/lib/libvirt/images", "vg0": "/dev/vg0"}


def _domain(path: Path) -> ObservedDomain:
    parsed = parse(path.read_text(encoding="utf-8"))
    return ObservedDomain(
        parsed.config.name, parsed.config.uuid, "shutoff", persistent=True, config=parsed.config, live=None,
        fingerprint="", restricted=parsed.restricted,
    )  # fmt: skip


def _host(domain: ObservedDomain) -> HostInventory:
    pools = []
    for name, target in _POOLS.items():
        names = [disk.path.rpartition("/")[2] for disk in domain.config.disks if disk.path.startswith(f"{target}/")]
        kind = "logical" if name == "vg0" else "dir"
        there = [replace(volume(file), path=f"{target}/{file}") for file in names]
        pools.append(observed_pool(name, target=target, volumes=there, type=kind))
    return observed_host("h1", domains=[domain], pools=pools)


def test_there_are_twenty_that_are_taken_over() -> None:
    assert len(_FOUND) - len(_REFUSED) >= 20


@pytest.mark.parametrize("path", [path for path in _FOUND if path.stem not in _REFUSED], ids=lambda path: path.stem)
def test_its_spec_written_and_read_again_asks_for_the_very_domain(path: Path) -> None:
    domain = _domain(path)
    seen = _host(domain)

    made = adoption_spec(FLEET, domain, host("h1"), seen)
    vm = VirtualMachine.model_validate(yaml.safe_load(yaml.safe_dump(made.document)), by_alias=True, by_name=False)

    assert made.obstacles == ()
    pools = {name: PoolOnHost(pool.target, pool.type == "logical") for name, pool in seen.pools.items()}
    volumes = {disk.name: disk.volume or "" for disk in vm.spec.disks}
    wanted = desired_domain(FLEET, vm, host("h1"), pools, volumes=volumes, observed=domain.config)
    assert diff(wanted, domain.config) == ()
    assert wanted == domain.config


@pytest.mark.parametrize("path", _FOUND, ids=lambda path: path.stem)
def test_its_definition_gets_a_mark_and_is_otherwise_as_before(path: Path) -> None:
    domain = _domain(path)
    text = path.read_text(encoding="utf-8")
    vm = VirtualMachine.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": domain.name, "adopt": domain.uuid},
            "spec": {"memory": "1GiB"},
        }
    )

    amended = amend(text, marked(domain.config, vm, fleet=FLEET, epoch=1, generation="g1"))

    assert parse(amended).config.mark is not None
    assert replace(parse(amended).config, mark=None) == domain.config
    assert unexpressed(amended) == unexpressed(text)


@pytest.mark.parametrize(("name", "word"), sorted(_REFUSED.items()))
def test_what_specs_cannot_say_of_it_stands_in_the_way_and_is_named(name: str, word: str) -> None:
    domain = _domain(next(path for path in _FOUND if path.stem == name))

    obstacles = adoption_spec(FLEET, domain, host("h1"), _host(domain)).obstacles

    assert any(word in obstacle for obstacle in obstacles), obstacles


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("fedora-pflash", {"os/loader", "os/nvram"}),
        ("win11-tpm", {"devices/tpm", "features/hyperv", "pm"}),
        ("win10", {"devices/graphics", "devices/video"}),
        ("with-cdrom", {"devices/disk", "devices/graphics"}),
        ("passthrough-cpu", {"cpu/topology"}),
        ("named-cpu", {"cpu/feature"}),
        ("raw-file", {"devices/disk/driver"}),
    ],
)
def test_what_is_not_said_is_listed(name: str, paths: set[str]) -> None:
    text = next(path for path in _FOUND if path.stem == name).read_text(encoding="utf-8")

    assert paths <= {found.path for found in unexpressed(text)}


def test_an_element_that_nobody_thought_of_is_listed() -> None:
    xml = "<domain><devices><newfangled speed='9'/></devices><novelty>x</novelty></domain>"

    assert [(found.path, found.value) for found in unexpressed(xml)] == [
        ("devices/newfangled", "speed='9'"),
        ("novelty", "x"),
    ]


def test_a_disk_outside_every_pool_comes_with_the_command_that_gives_it_one() -> None:
    domain = _domain(next(path for path in _FOUND if path.stem == "debian-bios"))

    obstacles = adoption_spec(FLEET, domain, host("h1"), observed_host("h1")).obstacles

    assert "pool-define-as" in obstacles[0]
    assert "--target /var/lib/libvirt/images" in obstacles[0]


def test_a_name_that_no_vm_can_have_comes_with_the_command_that_changes_it() -> None:
    domain = replace(_domain(_FOUND[0]), name="Ubuntu22.04")

    obstacles = adoption_spec(FLEET, domain, host("h1"), _host(domain)).obstacles

    assert "domrename Ubuntu22.04 ubuntu22-04" in obstacles[0]

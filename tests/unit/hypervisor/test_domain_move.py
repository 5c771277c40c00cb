"""The XML of a domain for the host that it goes to."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from reconciler.hypervisor.domain_move import at_target
from reconciler.hypervisor.domain_parse import parse_config
from reconciler.hypervisor.domain_xml import render
from reconciler.model.domain import DiskConfig, OwnershipMark
from reconciler.model.migration import DiskCopy, MigrationRules
from reconciler.model.steps import MigrateDomain
from tests.support.domains import domain_config

CONFIG: Final = replace(
    domain_config("web"),
    disks=(
        DiskConfig("vda", "/srv/a/f.web.root.qcow2", "qcow2"),
        DiskConfig("vdb", "/srv/shared/f.web.data.raw", "raw"),
    ),
    seed=DiskConfig("vdz", "/srv/a/f.web.seed-0123456789abcdef.iso", "raw", read_only=True),
    mark=OwnershipMark("f", "web", 4, "s1", "g1", deletion_policy="delete"),
)
STEP: Final = MigrateDomain(
    domain="web",
    uuid=CONFIG.uuid,
    source="h1",
    target="h2",
    epoch=5,
    peer_uri="qemu+tls://h2/system",
    rules=MigrationRules(60.0, 30.0),
    disks=(DiskCopy("vda", "local", "f.web.root.qcow2", "qcow2", 1 << 30, "/srv/b/f.web.root.qcow2"),),
    paths=(("vdz", "/srv/b/f.web.seed-0123456789abcdef.iso"),),
)


def test_epoch_and_paths_are_those_of_the_target_and_all_else_stays() -> None:
    moved = parse_config(at_target(render(CONFIG), STEP), autostart=CONFIG.autostart)

    before = parse_config(render(CONFIG), autostart=CONFIG.autostart)
    assert before.mark is not None
    assert before.seed is not None
    assert moved == replace(
        before,
        disks=(replace(before.disks[0], path="/srv/b/f.web.root.qcow2"), before.disks[1]),
        seed=replace(before.seed, path="/srv/b/f.web.seed-0123456789abcdef.iso"),
        mark=replace(before.mark, epoch=5),
    )


def test_what_a_disk_stands_on_is_left_to_the_file_that_is_there() -> None:
    chain = '<backingStore type="file"><format type="qcow2"/><source file="/srv/a/f.base-1.qcow2"/></backingStore>'
    xml = render(CONFIG).replace('<target dev="vda"', f'{chain}<target dev="vda"')
    assert "base-1" in xml

    assert "base-1" not in at_target(xml, STEP)


def test_a_domain_of_others_keeps_its_metadata() -> None:
    xml = render(replace(CONFIG, mark=None))

    assert "epoch" not in at_target(xml, STEP)

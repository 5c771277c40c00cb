"""A host that people have filled: all of it is taken over by commands, and guests that run notice nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.lab.controller import Controller, host_specs
from tests.lab.dummies import dir_pool, nat_network
from tests.lab.host import LabHost
from tests.lab.hosts import Lab, LabError

pytestmark = pytest.mark.lab

_FOUND: Final = Path(__file__).parents[1] / "unit" / "adoption" / "found"
_IMAGES: Final = "/var/lib/libvirt/images"
_RUNNING: Final = ("diskless-pxe", "alpine-headless")
_LEFT: Final = {"lvm-disk", "usb-disk", "headless-serial"}
"""A device in no pool, a card of type user, and a console log of its own: these can't be taken over."""


def _fill(lab: Lab, host: LabHost, folder: Path) -> set[str]:
    """Define all that virt-install printed, with its disks; return the names."""
    images = lab.local / "images"
    host.exec(["mkdir", "-p", str(images)])
    made = set()
    for path in sorted(_FOUND.glob("*.xml")):
        text = path.read_text(encoding="utf-8")
        for disk in re.findall(rf'source file="{_IMAGES}/([^"]+)"', text):
            kind = "qcow2" if disk.endswith(".qcow2") else "raw"
            host.exec(["qemu-img", "create", "-q", "-f", kind, f"{images}/{disk}", "8M"])
        copy = folder / path.name
        copy.write_text(text.replace(_IMAGES, str(images)))
        host.virsh("define", str(copy))
        made.add(path.stem)
    for name, xml in (("pool", dir_pool("default", images)), ("net", nat_network("default", 160))):
        (folder / f"{name}.xml").write_text(xml)
        host.virsh(f"{name}-define", str(folder / f"{name}.xml"))
        host.virsh(f"{name}-start", "default")
        host.virsh(f"{name}-autostart", "default")
    return made


def _but_for_marks(host: LabHost, name: str) -> list[str]:
    """Lines of its definition; libvirt sorts controllers whenever one is defined."""
    xml = host.virsh("dumpxml", "--inactive", name)
    return sorted(re.sub(r"\s*<metadata>.*</metadata>", "", xml, flags=re.DOTALL).split("\n"))


def test_all_of_a_host_is_taken_over_and_nothing_restarts(fresh_lab: Lab, tmp_path: Path) -> None:
    host = fresh_lab.hosts[0]
    controller = Controller(tmp_path / "specs", tmp_path / "state")
    controller.specs.mkdir()
    controller.write("hosts.yaml", host_specs(fresh_lab, [host.name]))
    made = _fill(fresh_lab, host, tmp_path)
    for name in _RUNNING:
        host.virsh("start", name)
    guests = host.guests()
    before = {name: _but_for_marks(host, name) for name in made}
    with pytest.raises(LabError):
        host.virsh("metadata", "win10", "urn:reconciler:domain:1")

    printed = controller.ask("adopt", host.name, "--all")
    controller.write("adopted.yaml", printed.out)
    planned = controller.plan()
    controller.apply()

    assert printed.code == 1, printed.err
    assert {action["kind"] for action in planned["actions"]} == {"adopt-domain"}
    assert {action["disruption"] for action in planned["actions"]} == {"none"}
    adopted = {action["target"].partition("/")[2] for action in planned["actions"]}
    assert adopted == made - _LEFT
    assert len(adopted) >= 20
    assert controller.plan()["actions"] == []
    assert host.guests() == guests, "a guest was started anew"
    assert {name: _but_for_marks(host, name) for name in made} == before
    assert 'name="win10"' in host.virsh("metadata", "win10", "urn:reconciler:domain:1").replace("'", '"')

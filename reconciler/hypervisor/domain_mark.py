"""The ownership mark in a domain's metadata."""

from __future__ import annotations

from typing import Final, Literal, cast

from lxml import etree

from reconciler.hypervisor.xml_nodes import Node, child_of, node
from reconciler.model.domain import OwnershipMark

NAMESPACE: Final = "urn:reconciler:domain:1"
PREFIX: Final = "reconciler"
MARK: Final = f"{{{NAMESPACE}}}vm"


def render_mark(mark: OwnershipMark) -> Node:
    """The element that says whose the domain is."""
    return etree.Element(MARK, _attributes(mark), nsmap={PREFIX: NAMESPACE})


def render_plain_mark(mark: OwnershipMark) -> Node:
    """The same without its namespace, which libvirt adds where it is told the metadata by itself."""
    return node("vm", **_attributes(mark))


def _attributes(mark: OwnershipMark) -> dict[str, str]:
    attributes = {
        "fleet": mark.fleet,
        "name": mark.vm,
        "epoch": str(mark.epoch),
        "spec": mark.spec_hash,
        "generation": mark.generation,
        "deletionPolicy": mark.deletion_policy,
        "prune": mark.prune,
    }
    more = {"cpu": mark.cpu_model, "restore": mark.restore, "adopted": mark.adopted, "origin": mark.origin}
    return {**attributes, **{name: value for name, value in more.items() if value}}


def parse_mark(metadata: Node | None) -> OwnershipMark | None:
    """The mark, or None where there is none that can be read: what is not surely ours is not ours."""
    element = child_of(metadata, MARK)
    if element is None:
        return None
    said = element.attrib
    epoch, deletion, prune = said.get("epoch", ""), said.get("deletionPolicy", "retain"), said.get("prune", "enabled")
    readable = epoch.isdecimal() and deletion in ("retain", "delete") and prune in ("enabled", "disabled")
    if not (readable and said.get("fleet") and said.get("name")):
        return None
    return OwnershipMark(
        fleet=said["fleet"],
        vm=said["name"],
        epoch=int(epoch),
        spec_hash=said.get("spec", ""),
        generation=said.get("generation", ""),
        deletion_policy=cast("Literal['retain', 'delete']", deletion),
        prune=cast("Literal['enabled', 'disabled']", prune),
        cpu_model=said.get("cpu", ""),
        restore=said.get("restore", ""),
        adopted=said.get("adopted", ""),
        origin=said.get("origin", ""),
    )

"""Storage pools as libvirt's XML."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.hypervisor.xml_nodes import Node, from_text, node, size_of, text_of, to_text
from reconciler.model.inventory import ObservedPool, ObservedVolume
from reconciler.model.steps import PoolConfig


def render_pool(config: PoolConfig) -> str:
    """XML that defines the pool."""
    return to_text(
        node(
            "pool",
            node("name", text=config.name),
            node("uuid", text=config.uuid),
            *_source(config),
            node("target", node("path", text=config.target)),
            type=config.type,
        )
    )


def _source(config: PoolConfig) -> list[Node]:
    if config.type == "netfs":
        server, exported = config.source_host or "", config.source_dir or ""
        return [node("source", node("host", name=server), node("dir", path=exported), node("format", type="nfs"))]
    if config.type == "logical":
        group = config.volume_group or config.name
        return [node("source", node("name", text=group), node("format", type="lvm2"))]
    return []


def parse_pool(
    xml: str, *, active: bool, autostart: bool, volumes: Mapping[str, ObservedVolume] | None
) -> ObservedPool:
    """The pool as libvirt tells it; sizes as of its last refresh."""
    root = from_text(xml)
    target = root.find("target")
    return ObservedPool(
        name=text_of(root, "name"),
        uuid=text_of(root, "uuid"),
        type=root.get("type", ""),
        target="" if target is None else text_of(target, "path"),
        active=active,
        autostart=autostart,
        capacity=size_of(root.find("capacity")) if active else 0,
        available=size_of(root.find("available")) if active else 0,
        volumes=volumes,
    )

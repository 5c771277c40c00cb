"""The XML of a domain as it is to be on another host."""

from __future__ import annotations

from reconciler.hypervisor.domain_mark import MARK
from reconciler.hypervisor.xml_nodes import Node, child_of, from_text, to_text
from reconciler.model.steps import MigrateDomain


def at_target(xml: str, step: MigrateDomain) -> str:
    """`xml`, live or inactive, with the epoch and the paths that it has on the target of `step`; all else stays."""
    root = from_text(xml)
    mark = child_of(child_of(root, "metadata"), MARK)
    if mark is not None:
        mark.set("epoch", str(step.epoch))
    paths = step.target_paths
    for disk in root.iterfind("devices/disk"):
        device = _device(disk)
        if device in paths:
            _set_path(disk, paths[device])
            # What it stands on there libvirt reads from the file itself.
            for chain in disk.findall("backingStore"):
                disk.remove(chain)
    return to_text(root)


def _device(disk: Node) -> str:
    target = child_of(disk, "target")
    return "" if target is None else str(target.get("dev", ""))


def _set_path(disk: Node, path: str) -> None:
    source = child_of(disk, "source")
    if source is not None:
        source.set("dev" if disk.get("type") == "block" else "file", path)

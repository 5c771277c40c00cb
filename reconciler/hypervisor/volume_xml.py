"""Volumes as libvirt's XML."""

from __future__ import annotations

from reconciler.hypervisor.xml_nodes import attribute, from_text, node, size_of, text_of, to_text
from reconciler.model.inventory import ObservedVolume


def render_volume(
    name: str, *, format: str, capacity: int, mode: int = 0o600, backing: ObservedVolume | None = None
) -> str:
    """XML that creates a volume, empty or on `backing` in its declared format; capacity in bytes, nothing allocated."""
    # Without it libvirt makes qcow2 of version 2, which can't grow beyond a smaller backing file safely.
    version = [node("compat", text="1.1")] if format == "qcow2" else []
    lower = []
    if backing is not None:
        lower = [node("backingStore", node("path", text=backing.path), node("format", type=backing.format))]
    return to_text(
        node(
            "volume",
            node("name", text=name),
            node("capacity", unit="bytes", text=str(capacity)),
            node("allocation", unit="bytes", text="0"),
            node(
                "target",
                node("format", type=format),
                node("permissions", node("mode", text=f"{mode:04o}")),
                *version,
            ),
            *lower,
        )
    )


def parse_volume(xml: str) -> ObservedVolume:
    """What libvirt says of a volume. The format is what libvirt found in the file, which a guest may have written."""
    root = from_text(xml)
    parts = {child.tag: child for child in root}
    target = parts.get("target")
    return ObservedVolume(
        name=text_of(root, "name"),
        path=text_of(target, "path"),
        format=attribute(target, "format", "type", "raw"),
        capacity=size_of(parts.get("capacity")),
        allocation=size_of(parts.get("allocation")),
        backing_path=text_of(parts.get("backingStore"), "path") or None,
    )

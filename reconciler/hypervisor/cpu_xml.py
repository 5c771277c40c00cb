"""libvirt's `<cpu>` and our typed form of it."""

from __future__ import annotations

from reconciler.hypervisor.xml_nodes import Node, node, text_of
from reconciler.model.abilities import GuestCpu


def parse_cpu(cpu: Node, *, mode: str = "") -> GuestCpu:
    """The CPU in an element `<cpu>`, or in `<mode>` of a host's capabilities, which is then of that `mode`."""
    features = sorted((child.get("policy", "require"), child.get("name", "")) for child in cpu.iterfind("feature"))
    return GuestCpu(
        mode=mode or cpu.get("mode", "custom"),
        model=text_of(cpu, "model"),
        vendor=text_of(cpu, "vendor"),
        features=tuple(sorted(features, key=lambda feature: feature[1])),
        check=cpu.get("check", ""),
    )


def render_guest_cpu(cpu: GuestCpu) -> Node:
    """The element that libvirt compares with a host's CPU, or gives a guest."""
    if cpu.mode != "custom":
        return node("cpu", mode=cpu.mode)
    parts = [node("model", fallback="forbid", text=cpu.model)]
    if cpu.vendor:
        parts.append(node("vendor", text=cpu.vendor))
    parts += [node("feature", policy=policy, name=name) for policy, name in cpu.features]
    return node("cpu", *parts, mode="custom", match="exact", check=cpu.check or "partial")

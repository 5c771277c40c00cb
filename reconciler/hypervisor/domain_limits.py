"""I/O limits of disks and bandwidth of NICs, as libvirt's XML says them."""

from __future__ import annotations

from typing import Final

from reconciler.hypervisor.domain_parts import IO_TUNE
from reconciler.hypervisor.xml_nodes import Node
from reconciler.model.domain import BandwidthConfig, IoTuneConfig, TrafficConfig

_KIB: Final = 1 << 10


def parse_io_tune(element: Node) -> IoTuneConfig | None:
    """The limits that a spec can express; None where there is none of them."""
    said = {str(child.tag): child.text or "0" for child in element}
    tune = IoTuneConfig(**{ours: int(said[name]) for name, ours in IO_TUNE if name in said})
    return None if tune == IoTuneConfig() else tune


def parse_bandwidth(element: Node) -> BandwidthConfig | None:
    """Limits of both directions; None where there is none. libvirt counts in KiB."""
    found = {str(child.tag): child for child in element}
    bandwidth = BandwidthConfig(_traffic(found.get("inbound")), _traffic(found.get("outbound")))
    return None if bandwidth == BandwidthConfig() else bandwidth


def _traffic(element: Node | None) -> TrafficConfig | None:
    if element is None:
        return None
    average, peak, burst = (int(element.get(name, "0")) * _KIB for name in ("average", "peak", "burst"))
    return TrafficConfig(average, peak, burst) if average else None

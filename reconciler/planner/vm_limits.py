"""Limits of disks and NICs: from a spec to the owned-fields form, and in words."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.domain import BandwidthConfig, IoTuneConfig, TrafficConfig
from reconciler.model.limits import Bandwidth, IoTune, Traffic
from reconciler.model.quantities import format_rate, format_size


def io_tune_of(tune: IoTune | None) -> IoTuneConfig | None:
    """I/O limits of a disk."""
    if tune is None:
        return None
    return IoTuneConfig(
        total_bytes=tune.total_bytes or 0,
        read_bytes=tune.read_bytes or 0,
        write_bytes=tune.write_bytes or 0,
        total_iops=tune.total_iops or 0,
        read_iops=tune.read_iops or 0,
        write_iops=tune.write_iops or 0,
    )


def bandwidth_of(bandwidth: Bandwidth | None) -> BandwidthConfig | None:
    """Limits of a NIC."""
    if bandwidth is None:
        return None
    return BandwidthConfig(_traffic_of(bandwidth.inbound), _traffic_of(bandwidth.outbound))


def _traffic_of(traffic: Traffic | None) -> TrafficConfig | None:
    return None if traffic is None else TrafficConfig(traffic.average, traffic.peak or 0, traffic.burst or 0)


def io_words(tune: IoTuneConfig | None) -> str:
    """`50MiB/s, read 500 IOPS`."""
    if tune is None:
        return "unlimited"
    rates = (("", tune.total_bytes), ("read ", tune.read_bytes), ("write ", tune.write_bytes))
    counts = (("", tune.total_iops), ("read ", tune.read_iops), ("write ", tune.write_iops))
    words = [f"{name}{format_rate(rate)}" for name, rate in rates if rate]
    words += [f"{name}{count} IOPS" for name, count in counts if count]
    return ", ".join(words) or "unlimited"


def bandwidth_words(bandwidth: BandwidthConfig | None) -> str:
    """`in 10MiB/s, out 5MiB/s with bursts of 1MiB at 20MiB/s`."""
    if bandwidth is None:
        return "unlimited"
    directions = (("in", bandwidth.inbound), ("out", bandwidth.outbound))
    words = [f"{name} {format_rate(each.average)}{_bursts(each)}" for name, each in directions if each is not None]
    return ", ".join(words) or "unlimited"


def _bursts(traffic: TrafficConfig) -> str:
    words = "".join(_burst_words(traffic))
    return f" with bursts{words}" if words else ""


def _burst_words(traffic: TrafficConfig) -> Iterator[str]:
    if traffic.burst:
        yield f" of {format_size(traffic.burst)}"
    if traffic.peak:
        yield f" at {format_rate(traffic.peak)}"

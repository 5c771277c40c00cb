"""The elements of a domain that a spec decides, one function each: used to render a domain and to amend one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from reconciler.hypervisor.cpu_xml import render_guest_cpu
from reconciler.hypervisor.xml_nodes import Node, node
from reconciler.model.domain import (
    BandwidthConfig,
    DiskConfig,
    DomainConfig,
    IoTuneConfig,
    NicConfig,
    TrafficConfig,
    WatchdogConfig,
)
from reconciler.model.fleet_cpu import cpu_of_text, is_cpu_text

AGENT_CHANNEL: Final = "org.qemu.guest_agent.0"
SEED_ALIAS: Final = "ua-reconciler-seed"
"""User alias that says which disk is the seed; libvirt keeps aliases that begin with `ua-`."""
BRIDGE: Final = "bridge:"
"""What the network of a NIC that is on a bridge of the host begins with."""
WATCHDOG: Final = "i6300esb"
"""The model that a spec can ask for; others come with a machine type (`itco`) or from people."""
CPU_MODES: Final = ("host-model", "host-passthrough", "maximum")
SPARE_PCIE_PORTS: Final = 8
"""Root ports left free for hot plug: each virtio disk or NIC takes one, and none can be added while the guest runs."""
IO_TUNE: Final = (
    ("total_bytes_sec", "total_bytes"),
    ("read_bytes_sec", "read_bytes"),
    ("write_bytes_sec", "write_bytes"),
    ("total_iops_sec", "total_iops"),
    ("read_iops_sec", "read_iops"),
    ("write_iops_sec", "write_iops"),
)
"""I/O limits of a disk: libvirt's name of each and ours."""
_OTHER_PCIE_DEVICES: Final = 4  # USB, virtio-serial, RNG, balloon


def kibibytes(size: int) -> str:
    """A memory size as libvirt keeps it: whole KiB, rounded up."""
    return str(-(-size // 1024))


def is_q35(machine: str) -> bool:
    """Whether the machine type has PCI Express."""
    return machine == "q35" or machine.startswith("pc-q35-")


def render_vcpu(config: DomainConfig) -> Node:
    """CPUs that the guest has now, of those that it may have."""
    current = {} if config.vcpus == config.max_vcpus else {"current": str(config.vcpus)}
    return node("vcpu", placement="static", text=str(config.max_vcpus), **current)


def render_memory(config: DomainConfig) -> tuple[Node, Node]:
    """Memory that the guest may have, and what it has now."""
    return (
        node("memory", unit="KiB", text=kibibytes(config.max_memory)),
        node("currentMemory", unit="KiB", text=kibibytes(config.memory)),
    )


def render_description(config: DomainConfig) -> Iterator[Node]:
    """What libvirt tells people of the domain."""
    for tag, text in (("title", config.title), ("description", config.description)):
        if text:
            yield node(tag, text=text)


def render_firmware(config: DomainConfig) -> Node:
    """`<firmware>` for autoselection; without it libvirt takes whichever description file comes first."""
    wanted = "yes" if config.firmware == "uefi-secure" else "no"
    return node("firmware", *(node("feature", enabled=wanted, name=name) for name in ("enrolled-keys", "secure-boot")))


def render_cpu(model: str, domain_type: str) -> Node:
    """A named model must be had exactly: another CPU than the one asked for would be a silent surprise."""
    if model in CPU_MODES:
        return node("cpu", mode=model)
    # Emulation lacks features of nearly every named model; libvirt's check would refuse them all.
    check = "partial" if domain_type == "kvm" else "none"
    if is_cpu_text(model):
        return render_guest_cpu(replace(cpu_of_text(model), check=check))
    return node("cpu", node("model", fallback="forbid", text=model), mode="custom", match="exact", check=check)


def render_disk(disk: DiskConfig, *, seed: bool = False) -> Node:
    """A disk; QEMU gives discarded blocks back to the host."""
    kind, source = ("block", "dev") if disk.block_device else ("file", "file")
    discard = {} if disk.read_only else {"discard": "unmap"}
    return node(
        "disk",
        node("driver", name="qemu", type=disk.format, **discard),
        node("source", **{source: disk.path}),
        node("target", dev=disk.target, bus=disk.bus),
        *([] if disk.io_tune is None else [render_io_tune(disk.io_tune)]),
        *([node("readonly")] if disk.read_only else []),
        *([node("alias", name=SEED_ALIAS)] if seed else []),
        type=kind,
        device="disk",
    )


def render_nic(nic: NicConfig) -> Node:
    """A NIC on a libvirt network, or on a bridge of the host."""
    bridge = nic.network.removeprefix(BRIDGE)
    is_bridged = bridge != nic.network
    source = {"bridge": bridge} if is_bridged else {"network": nic.network}
    return node(
        "interface",
        node("mac", address=nic.mac),
        node("source", **source),
        node("model", type=nic.model),
        *([] if nic.bandwidth is None else [_bandwidth(nic.bandwidth)]),
        *([] if nic.link == "up" else [node("link", state=nic.link)]),
        type="bridge" if is_bridged else "network",
    )


def io_tune_values(tune: IoTuneConfig | None) -> dict[str, int]:
    """Every I/O limit of ours by its name in libvirt; 0 is none."""
    known = tune or IoTuneConfig()
    return {name: getattr(known, ours) for name, ours in IO_TUNE}


def render_io_tune(tune: IoTuneConfig) -> Node:
    """I/O limits of a disk."""
    return node("iotune", *(node(name, text=str(value)) for name, value in io_tune_values(tune).items() if value))


def _bandwidth(bandwidth: BandwidthConfig) -> Node:
    directions = (("inbound", bandwidth.inbound), ("outbound", bandwidth.outbound))
    return node("bandwidth", *(_traffic(name, each) for name, each in directions if each is not None))


def _traffic(direction: str, traffic: TrafficConfig) -> Node:
    values = (("average", traffic.average), ("peak", traffic.peak), ("burst", traffic.burst))
    return node(direction, **{name: kibibytes(value) for name, value in values if value})


def render_serial(console_log: str | None) -> Node:
    """A pty whose output QEMU's log daemon also keeps in a file, so that what a guest said outlives it."""
    log = [] if console_log is None else [node("log", file=console_log, append="on")]
    return node("serial", *log, node("target", port="0"), type="pty")


def render_agent_channel() -> Node:
    """The channel of the guest agent."""
    return node("channel", node("target", type="virtio", name=AGENT_CHANNEL), type="unix")


def render_vnc() -> tuple[Node, Node]:
    """VNC on the host's loopback and a card to draw on."""
    loopback = node("listen", type="address", address="127.0.0.1")
    return node("graphics", loopback, type="vnc", autoport="yes"), node("video", node("model", type="vga"))


def render_rng() -> Node:
    """Randomness from the host's pool that never blocks."""
    return node("rng", node("backend", model="random", text="/dev/urandom"), model="virtio")


def render_balloon(present: bool) -> Node:
    """A balloon, or its explicit absence: libvirt adds one where nothing is said."""
    return node("memballoon", model="virtio" if present else "none")


def render_watchdog(watchdog: WatchdogConfig) -> Node:
    """A watchdog device; the guest has to feed it, or nothing ever happens."""
    return node("watchdog", model=watchdog.model, action=watchdog.action)


def render_clock(clock: str) -> Node:
    """Timers as QEMU's authors advise for guests of any kind: no lost ticks, no HPET."""
    return node(
        "clock",
        node("timer", name="rtc", tickpolicy="catchup"),
        node("timer", name="pit", tickpolicy="delay"),
        node("timer", name="hpet", present="no"),
        offset=clock,
    )


def render_tpm(model: str) -> Node:
    """An emulated TPM; its state is in files of the host."""
    return node("tpm", node("backend", type="emulator", version="2.0"), model=model)


def render_scsi_controller() -> Node:
    """The controller that disks on bus scsi hang on."""
    return node("controller", type="scsi", index="0", model="virtio-scsi")


def render_pcie_ports(config: DomainConfig) -> Iterator[Node]:
    """PCI Express root ports for all devices of the config and the spare ones."""
    buses = [disk.bus for disk in all_disks(config)]
    devices = buses.count("virtio") + ("scsi" in buses) + len(config.nics) + _OTHER_PCIE_DEVICES
    devices += config.watchdog is not None  # behind a bridge, which takes a port
    yield node("controller", type="pci", index="0", model="pcie-root")
    for index in range(1, 1 + devices + SPARE_PCIE_PORTS):
        yield node("controller", type="pci", index=str(index), model="pcie-root-port")


def all_disks(config: DomainConfig) -> tuple[DiskConfig, ...]:
    """The disks and the seed."""
    return config.disks if config.seed is None else (*config.disks, config.seed)

"""libvirt's XML of a domain brought to the owned-fields form.

One walk over the children: a fleet of 10,000 domains is parsed on every cold start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, cast

from msgspec import Struct

from reconciler.hypervisor.cpu_xml import parse_cpu
from reconciler.hypervisor.domain_limits import parse_bandwidth, parse_io_tune
from reconciler.hypervisor.domain_mark import parse_mark
from reconciler.hypervisor.domain_parts import AGENT_CHANNEL, SEED_ALIAS, WATCHDOG
from reconciler.hypervisor.xml_nodes import Node, attribute, from_text, size_of, text_of
from reconciler.model.abilities import GuestCpu
from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig, OwnershipMark, WatchdogConfig
from reconciler.model.fleet_cpu import cpu_text, is_cpu_text

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# What libvirt adds by itself, or what a spec expresses; anything else is `restricted`.
_ORDINARY_DEVICES: Final = frozenset(
    {
        "emulator", "disk", "controller", "interface", "serial", "console", "channel", "input",
        "graphics", "video", "audio", "memballoon", "rng", "watchdog",
    }
)  # fmt: skip
_ORDINARY_PARTS: Final = frozenset(
    {
        "name", "uuid", "title", "description", "metadata", "memory", "currentMemory", "vcpu",
        "vcpus", "os", "features", "cpu", "clock", "on_poweroff", "on_reboot", "on_crash",
        "on_lockfailure", "pm", "devices", "seclabel", "resource", "genid",
    }
)  # fmt: skip

_ORDINARY_TYPES: Final = (("interface", "network"), ("serial", "pty"), ("console", "pty"), ("graphics", "vnc"))
_OWN_BOOT: Final = frozenset({"kernel", "initrd", "cmdline", "init"})


class ParsedDomain(Struct, frozen=True):
    """What the XML says, and what it says that no spec can."""

    config: DomainConfig
    restricted: tuple[str, ...]


def parse_config(xml: str, *, autostart: bool = False) -> DomainConfig:
    """As `parse`, without the search for what no spec can express."""
    root, parts, devices = _opened(xml)
    return _config(root, parts, devices, autostart=autostart)


def parse_live(xml: str, *, autostart: bool = False) -> tuple[DomainConfig, GuestCpu | None]:
    """As `parse_config`, and the CPU that the running guest has."""
    root, parts, devices = _opened(xml)
    cpu = parts.get("cpu")
    return _config(root, parts, devices, autostart=autostart), None if cpu is None else parse_cpu(cpu)


def _opened(xml: str) -> tuple[Node, dict[str, Node], dict[str, list[Node]]]:
    """The root, its children by tag, and the devices by tag."""
    root = from_text(xml)
    parts = {str(child.tag): child for child in root}
    devices: dict[str, list[Node]] = {}
    for device in parts.get("devices", ()):
        devices.setdefault(str(device.tag), []).append(device)
    return root, parts, devices


def parse(xml: str, *, autostart: bool = False) -> ParsedDomain:
    """The configuration in `xml`, inactive or live; raises `lxml.etree.XMLSyntaxError` for what is not XML.

    The machine type is the one that is there, versioned. `autostart` is not in the XML. NICs and disks come in the
    XML's order, in which libvirt groups the disks by bus.
    """
    root, parts, devices = _opened(xml)
    restricted = sorted({*_restricted_parts(parts), *_restricted_devices(devices)})
    return ParsedDomain(_config(root, parts, devices, autostart=autostart), tuple(restricted))


def _config(root: Node, parts: dict[str, Node], devices: dict[str, list[Node]], *, autostart: bool) -> DomainConfig:
    vcpu, memory, system = parts.get("vcpu"), size_of(parts.get("memory")), parts.get("os")
    max_vcpus = int((vcpu.text or "1") if vcpu is not None else 1)
    disks, seed = _disks(devices.get("disk", ()))
    mark = parse_mark(parts.get("metadata"))
    ptys = [serial for serial in devices.get("serial", ()) if serial.get("type") == "pty"]
    return DomainConfig(
        name=text_of(root, "name"),
        uuid=text_of(root, "uuid"),
        domain_type=root.get("type", ""),
        machine=attribute(system, "type", "machine"),
        firmware=_firmware(system),
        vcpus=int(vcpu.get("current", max_vcpus)) if vcpu is not None else 1,
        max_vcpus=max_vcpus,
        cpu_model=_cpu_model(parts.get("cpu"), mark),
        memory=size_of(parts.get("currentMemory")) or memory,
        max_memory=memory,
        disks=disks,
        nics=tuple(_nic(interface) for interface in devices.get("interface", ())),
        seed=seed,
        graphics="vnc" if any(shown.get("type") == "vnc" for shown in devices.get("graphics", ())) else "none",
        agent_channel=any(
            attribute(channel, "target", "name") == AGENT_CHANNEL for channel in devices.get("channel", ())
        ),
        serial_console=bool(ptys),
        console_log=(attribute(ptys[0], "log", "file") or None) if ptys else None,
        rng="rng" in devices,
        balloon=any(balloon.get("model") != "none" for balloon in devices.get("memballoon", ())),
        autostart=autostart,
        mark=mark,
        watchdog=_watchdog(devices.get("watchdog", ())),
        title=_told(parts.get("title")),
        description=_told(parts.get("description")),
        clock=_clock(parts.get("clock")),
        tpm=_tpm(devices.get("tpm", ())),
    )


def _told(element: Node | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _clock(clock: Node | None) -> Literal["utc", "localtime"]:
    """Other offsets (`variable`, a time zone) are left as they are."""
    return "localtime" if clock is not None and clock.get("offset") == "localtime" else "utc"


def _tpm(elements: list[Node] | tuple[()]) -> Literal["none", "tpm-crb", "tpm-tis"]:
    """An emulated TPM; one of the host's own is left as it is."""
    for tpm in elements:
        if attribute(tpm, "backend", "type") == "emulator":
            return "tpm-crb" if tpm.get("model") == "tpm-crb" else "tpm-tis"
    return "none"


def _firmware(system: Node | None) -> Literal["bios", "uefi", "uefi-secure"]:
    """Selected by itself (`firmware='efi'`) or by path (a pflash loader)."""
    if system is None or (system.get("firmware") != "efi" and attribute(system, "loader", "type") != "pflash"):
        return "bios"
    features = system.iterfind("firmware/feature")
    secure = any(each.get("name") == "secure-boot" and each.get("enabled") == "yes" for each in features)
    return "uefi-secure" if secure or attribute(system, "loader", "secure") == "yes" else "uefi"


def _watchdog(elements: list[Node] | tuple[()]) -> WatchdogConfig | None:
    ours = (each for each in elements if each.get("model") == WATCHDOG)
    return next((WatchdogConfig(WATCHDOG, each.get("action", "reset")) for each in ours), None)


def _cpu_model(cpu: Node | None, mark: OwnershipMark | None) -> str:
    """The mode, or the model; with its features where those were asked for: others are left to who added them."""
    if cpu is None:
        return ""
    mode = cpu.get("mode", "custom")
    if mode != "custom":
        return mode
    has_features = mark is not None and is_cpu_text(mark.cpu_model)
    return cpu_text(parse_cpu(cpu)) if has_features else text_of(cpu, "model")


def _disks(elements: list[Node] | tuple[()]) -> tuple[tuple[DiskConfig, ...], DiskConfig | None]:
    disks, seed = [], None
    for element in elements:
        if element.get("device", "disk") != "disk":
            continue
        disk, alias = _disk(element)
        if alias == SEED_ALIAS and seed is None:
            seed = disk
        else:
            disks.append(disk)
    return tuple(disks), seed


def _disk(element: Node) -> tuple[DiskConfig, str]:
    """The disk and its alias; a format or source that a spec can't express is told as it is."""
    parts = {str(child.tag): child for child in element}
    driver, target, source, alias = (parts.get(tag) for tag in ("driver", "target", "source", "alias"))
    disk = DiskConfig(
        target="" if target is None else target.get("dev", ""),
        path="" if source is None else _source_path(source),
        format=cast("Literal['qcow2', 'raw']", "raw" if driver is None else driver.get("type", "raw")),
        bus="" if target is None else target.get("bus", ""),
        block_device=element.get("type") == "block",
        read_only="readonly" in parts,
        io_tune=parse_io_tune(parts["iotune"]) if "iotune" in parts else None,
    )
    return disk, "" if alias is None else alias.get("name", "")


def _source_path(source: Node) -> str:
    """Path of a file or block device; `pool/volume` or a network name for what has no path."""
    volume = source.get("volume")
    if volume is not None:
        return f"{source.get('pool', '')}/{volume}"
    return source.get("file") or source.get("dev") or source.get("name") or ""


def _nic(element: Node) -> NicConfig:
    """A NIC; one that is not on a libvirt network is told as `bridge:br0` and the like."""
    parts = {str(child.tag): child for child in element}
    mac, source, model, kind = parts.get("mac"), parts.get("source"), parts.get("model"), element.get("type", "")
    network = "" if source is None else source.get("network", "")
    if kind != "network":
        network = f"{kind}:{'' if source is None else source.get('bridge') or source.get('dev', '')}"
    return NicConfig(
        mac="" if mac is None else mac.get("address", "").lower(),
        network=network,
        model="" if model is None else model.get("type", ""),
        link="down" if "link" in parts and parts["link"].get("state") == "down" else "up",
        bandwidth=parse_bandwidth(parts["bandwidth"]) if "bandwidth" in parts else None,
    )


def _restricted_parts(parts: dict[str, Node]) -> Iterator[str]:
    for tag in parts.keys() - _ORDINARY_PARTS:
        yield tag.rpartition("}")[2] if tag.startswith("{") else tag
    system = parts.get("os")
    if system is not None:
        tags = [str(child.tag) for child in system]
        yield from (f"os {tag}" for tag in tags if tag in _OWN_BOOT)
        if "loader" in tags and system.get("firmware") is None:
            yield "os loader"


def _restricted_devices(devices: dict[str, list[Node]]) -> Iterator[str]:
    yield from devices.keys() - _ORDINARY_DEVICES
    for disk in devices.get("disk", ()):
        yield from _restricted_disk(disk)
    for shown in devices.get("graphics", ()):
        if shown.get("type") == "vnc" and shown.get("listen", "127.0.0.1") not in _LOOPBACK:
            yield f"graphics listen='{shown.get('listen')}'"
    for watchdog in devices.get("watchdog", ()):
        # libvirt adds the one that is part of the q35 chipset by itself.
        if watchdog.get("model") not in (WATCHDOG, "itco"):
            yield f"watchdog model='{watchdog.get('model')}'"
    for tag, ordinary in _ORDINARY_TYPES:
        for device in devices.get(tag, ()):
            if (kind := device.get("type")) != ordinary:
                yield f"{tag} type='{kind}'"


def _restricted_disk(disk: Node) -> Iterator[str]:
    device, kind, image = disk.get("device", "disk"), disk.get("type", ""), attribute(disk, "driver", "type", "raw")
    if device != "disk":
        yield f"disk device='{device}'"
    elif kind not in ("file", "block"):
        yield f"disk type='{kind}'"
    elif image not in ("qcow2", "raw"):
        yield f"disk driver type='{image}'"

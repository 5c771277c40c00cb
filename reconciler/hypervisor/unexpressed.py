"""What a domain's XML holds that no spec expresses: told, and never dropped in silence.

An element is left out of the list only where a spec says it, or libvirt adds it by itself; all else is listed, also
what nobody thought of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from reconciler.hypervisor.domain_mark import MARK
from reconciler.hypervisor.domain_parts import AGENT_CHANNEL, WATCHDOG
from reconciler.hypervisor.xml_nodes import Node, attribute, from_text

_SAID: Final = frozenset(
    {
        "name", "uuid", "title", "description", "memory", "currentMemory", "vcpu", "vcpus", "resource",
        "on_poweroff", "on_reboot", "on_crash", "os/type", "os/firmware", "os/boot", "features/acpi", "features/apic",
        "features/smm", "cpu/model", "cpu/vendor", "clock/timer", "devices/emulator", "devices/input",
        "devices/memballoon", "devices/rng", "devices/audio", "devices/console", "devices/tpm",
        "devices/disk/driver", "devices/disk/source", "devices/disk/target", "devices/disk/iotune",
        "devices/disk/readonly", "devices/disk/address", "devices/disk/alias", "devices/disk/backingStore",
        "devices/interface/mac", "devices/interface/source", "devices/interface/model", "devices/interface/link",
        "devices/interface/bandwidth", "devices/interface/address", "devices/interface/alias",
        "devices/serial/target", "devices/serial/log", "devices/serial/address", "devices/serial/alias",
    }
)  # fmt: skip
"""Elements that a spec says, or that libvirt gives every domain."""
_LOOPBACK: Final = "127.0.0.1"
_INTO: Final = frozenset({"os", "features", "cpu", "clock", "devices", "devices/disk", "devices/interface", "metadata"})
_BY_ITSELF: Final = frozenset({"pci", "usb", "virtio-serial", "ide", "sata", "fdc", "ccid"})
"""Controllers that come with the machine and its devices."""
_MEANINGS: Final = {
    "metadata": "a note of another program",
    "os/loader": "the file of its firmware; a spec says firmware alone, and the host picks the file",
    "os/nvram": "where its UEFI variables are; made from the template where it is made anew",
    "os/bootmenu": "the boot menu",
    "os/smbios": "what the guest reads of its maker",
    "features": "a feature of the hypervisor, such as what Windows runs better with",
    "cpu/topology": "sockets and cores; made anew, each CPU is a socket",
    "cpu/feature": "a CPU feature beyond the model's",
    "cpu/numa": "NUMA nodes of the guest",
    "clock": "how its clock runs",
    "pm": "whether the guest may sleep",
    "devices/disk": "a medium or a way of attaching it that specs don't have",
    "devices/interface": "a property of the card",
    "devices/graphics": "its screen",
    "devices/video": "its graphics card; made anew for graphics: vnc, it is vga",
    "devices/sound": "its sound card",
    "devices/channel": "a channel to the guest",
    "devices/controller": "the model of its controller; made anew for bus scsi, it is virtio-scsi",
    "devices/hostdev": "a device of the host, which binds it to that",
    "devices/filesystem": "a folder of the host",
    "devices/redirdev": "USB by way of its screen",
    "memoryBacking": "huge pages, locked or shared memory",
    "cputune": "CPU weights and pins",
    "numatune": "memory of certain NUMA nodes",
    "iothreads": "threads for its disks",
    "devices/watchdog": "a watchdog of another model",
    "devices/tpm": "its TPM's keys are in files of the host, which are not moved or copied with it",
    "devices/serial": "a serial port that is not a plain one",
}


class Unexpressed(Struct, frozen=True, order=True):
    """One element: its path, what it says in short, and what it is."""

    path: str
    value: str
    meaning: str


def unexpressed(xml: str) -> tuple[Unexpressed, ...]:
    """Every element that no spec expresses, each once; raises `lxml.etree.XMLSyntaxError` for what is not XML."""
    found = {Unexpressed(path, _short(element), _meaning(path)) for path, element in _walk(from_text(xml), "")}
    return tuple(sorted(found))


def _walk(parent: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    for element in parent:
        if not isinstance(element.tag, str) or element.tag == MARK:
            continue
        path = f"{prefix}{element.tag.rpartition('}')[2]}"
        if _is_odd(path, element):
            yield path, element
        elif path in _INTO:
            yield from _walk(element, f"{path}/")
        elif path not in _SAID and not _is_plain(path, element):
            yield path, element


def _is_odd(path: str, element: Node) -> bool:
    """Elements that a spec says in one form and not in another."""
    get = element.get
    match path:
        case "clock":
            is_odd = get("offset", "utc") not in ("utc", "localtime")
        case "devices/disk":
            is_known = attribute(element, "driver", "type", "raw") in ("qcow2", "raw")
            is_odd = get("device", "disk") != "disk" or get("type") not in ("file", "block") or not is_known
        case "devices/disk/driver":
            is_odd = bool(set(element.keys()) - {"name", "type", "discard"})
        case "devices/interface":
            is_odd = get("type") not in ("network", "bridge")
        case "os/boot":
            is_odd = get("dev") != "hd"
        case "devices/audio":
            is_odd = get("type") != "none"
        case _:
            is_odd = path == "devices/tpm"
    return is_odd


def _is_plain(path: str, element: Node) -> bool:
    get = element.get
    if path == "devices/controller":
        return get("type") in _BY_ITSELF or (get("type"), get("model")) == ("scsi", "virtio-scsi")
    if path == "devices/channel":
        return attribute(element, "target", "name") == AGENT_CHANNEL
    if path == "devices/watchdog":
        return get("model") in (WATCHDOG, "itco")
    if path == "devices/serial":
        return get("type") == "pty"
    if path == "devices/graphics":
        listens = {get("listen", _LOOPBACK), attribute(element, "listen", "address", _LOOPBACK)}
        return get("type") == "vnc" and listens == {_LOOPBACK}
    return False


def _meaning(path: str) -> str:
    while path and path not in _MEANINGS:
        path = path.rpartition("/")[0]
    return _MEANINGS.get(path, "not known to specs")


def _short(element: Node) -> str:
    """Attributes and text on one line: `type='spice' autoport='yes'`, those of its children in brackets."""
    own = [f"{name.rpartition('}')[2]}='{value}'" for name, value in element.items()]
    text = (element.text or "").strip()
    children = [f"{child.tag.rpartition('}')[2]}({_short(child)})" for child in element if isinstance(child.tag, str)]
    children = [child for child in children if not child.startswith(("address(", "alias("))]
    words = " ".join([*own, *([text] if text else []), *children])
    return words if len(words) <= 120 else f"{words[:117]}..."

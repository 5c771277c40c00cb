"""PCI addresses of devices, in the definition of a domain and in the running one."""

from __future__ import annotations

from copy import deepcopy

from reconciler.hypervisor.xml_nodes import Node, attribute

_PARTS = ("domain", "bus", "slot", "function")


def address_of(domain: Node, device: Node) -> Node | None:
    """PCI address of the disk of that target, or the NIC of that MAC, in the definition; None where it has none."""
    key = ("target", "dev") if device.tag == "disk" else ("mac", "address")
    for each in domain.iterfind(f"devices/{device.tag!s}"):
        if attribute(each, *key).lower() == attribute(device, *key).lower():
            address = each.find("address[@type='pci']")
            return None if address is None else deepcopy(address)
    return None


def is_free(domain: Node, address: Node) -> bool:
    """Whether the running domain has such a slot, and nothing in it."""
    buses = {each.get("index") for each in domain.iterfind("devices/controller[@type='pci']")}
    taken = {_place(each) for each in domain.iterfind("devices/*/address[@type='pci']")}
    return str(int(address.get("bus", "0"), 16)) in buses and _place(address) not in taken


def _place(address: Node) -> tuple[str | None, ...]:
    return tuple(address.get(part) for part in _PARTS)

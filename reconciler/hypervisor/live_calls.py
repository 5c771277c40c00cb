"""libvirt's calls that change a running domain and leave its definition alone."""

from __future__ import annotations

from typing import Any, Final

from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.domain_mark import NAMESPACE, PREFIX, render_plain_mark
from reconciler.hypervisor.domain_parts import io_tune_values, render_disk, render_nic
from reconciler.hypervisor.pci_places import address_of, is_free
from reconciler.hypervisor.xml_nodes import Node, from_text, to_text
from reconciler.model.domain import DiskConfig, NicConfig, OwnershipMark
from reconciler.model.live_edit import (
    Adjust,
    Describe,
    EjectSeed,
    InsertSeed,
    LiveEdit,
    Plug,
    Replug,
    SetMemory,
    SetVcpus,
    Unplug,
)

_KIB: Final = 1 << 10


def edit_running(domain: Any, edit: LiveEdit) -> None:
    """Do it; a guest that is asked to give something up may not have done so yet. Raises `LibvirtError`."""
    match edit:
        case SetMemory():
            domain.setMemoryFlags(edit.memory // _KIB, lv.AFFECT_LIVE)
        case SetVcpus():
            domain.setVcpusFlags(edit.vcpus, lv.AFFECT_LIVE)
        case Plug():
            domain.attachDeviceFlags(_in_its_place(domain, _device(edit.device)), lv.AFFECT_LIVE)
        case Unplug():
            domain.detachDeviceFlags(to_text(_device(edit.device)), lv.AFFECT_LIVE)
        case Replug():
            domain.updateDeviceFlags(to_text(_device(edit.nic)), lv.AFFECT_LIVE)
        case Adjust():
            _adjust(domain, edit.device)
        case InsertSeed():
            seed = render_disk(edit.seed, seed=True)
            domain.attachDeviceFlags(_in_its_place(domain, seed), lv.AFFECT_LIVE)
        case EjectSeed():
            domain.detachDeviceFlags(to_text(render_disk(edit.seed, seed=True)), lv.AFFECT_LIVE)
        case Describe():
            domain.setMetadata(lv.METADATA_TITLE, edit.title or None, None, None, lv.AFFECT_LIVE)
            domain.setMetadata(lv.METADATA_DESCRIPTION, edit.description or None, None, None, lv.AFFECT_LIVE)


def mark_running(domain: Any, mark: OwnershipMark | None) -> None:
    """Put the mark on the running domain too, or take it off. Raises `LibvirtError`."""
    text = None if mark is None else to_text(render_plain_mark(mark))
    domain.setMetadata(lv.METADATA_ELEMENT, text, PREFIX, NAMESPACE, lv.AFFECT_LIVE)


def _adjust(domain: Any, device: DiskConfig | NicConfig) -> None:
    """All limits of a disk at once: what is left out of the call would stay as it is."""
    if isinstance(device, DiskConfig):
        domain.setBlockIoTune(device.target, io_tune_values(device.io_tune), lv.AFFECT_LIVE)
    else:
        domain.updateDeviceFlags(to_text(_device(device)), lv.AFFECT_LIVE)


def _device(device: DiskConfig | NicConfig) -> Node:
    """Libvirt knows a disk by its target and a NIC by its MAC."""
    return render_disk(device) if isinstance(device, DiskConfig) else render_nic(device)


def _in_its_place(domain: Any, device: Node) -> str:
    """The device at the PCI address of its definition, where that is free: a card keeps its name over a reboot."""
    defined = from_text(domain.XMLDesc(lv.DOMAIN_XML_INACTIVE))
    address = address_of(defined, device)
    if address is not None and is_free(from_text(domain.XMLDesc(0)), address):
        device.append(address)
    return to_text(device)

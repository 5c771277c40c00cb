"""A device goes where its definition has it, if the running domain has that place free."""

from __future__ import annotations

import pytest
from lxml import etree

from reconciler.hypervisor.domain_parts import render_disk, render_nic
from reconciler.hypervisor.pci_places import address_of, is_free
from reconciler.model.domain import DiskConfig, NicConfig

_DISK = DiskConfig("vdb", "/p/data.qcow2", "qcow2")
_CARD = NicConfig("52:54:00:00:00:0a", "lan")
_DOMAIN = """
<domain><devices>
  <disk device='disk'><target dev='vda' bus='virtio'/>{}</disk>
  <disk device='disk'><target dev='vdb' bus='virtio'/>{}</disk>
  <interface type='network'><mac address='52:54:00:00:00:0A'/>{}</interface>
  <controller type='pci' index='0'/><controller type='pci' index='10'/>
</devices></domain>"""


def _address(bus: int) -> str:
    return f"<address type='pci' domain='0x0000' bus='0x{bus:02x}' slot='0x00' function='0x0'/>"


def _domain(*places: str) -> etree._Element:
    return etree.fromstring(_DOMAIN.format(*places))


def test_a_disk_is_known_by_its_target_and_a_card_by_its_mac() -> None:
    defined = _domain(_address(1), _address(10), _address(3))

    disk, card = address_of(defined, render_disk(_DISK)), address_of(defined, render_nic(_CARD))

    assert disk is not None
    assert card is not None
    assert (disk.get("bus"), card.get("bus")) == ("0x0a", "0x03")


@pytest.mark.parametrize("place", ["", "<address type='drive' controller='0'/>"])
def test_a_device_without_a_pci_address_has_none(place: str) -> None:
    assert address_of(_domain(_address(1), place, ""), render_disk(_DISK)) is None


def test_a_device_that_is_not_defined_has_none() -> None:
    assert address_of(_domain("", "", ""), render_disk(DiskConfig("vdx", "/p/x", "raw"))) is None


@pytest.mark.parametrize(
    ("bus", "free"), [(10, True), (0, True), (1, False), (11, False)], ids=["free", "root", "taken", "no such port"]
)
def test_a_place_is_free_where_there_is_one_and_nothing_in_it(bus: int, free: bool) -> None:
    running = _domain(_address(1), "", "")

    assert is_free(running, etree.fromstring(_address(bus))) is free

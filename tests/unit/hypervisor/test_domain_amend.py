"""Amending a domain keeps what no spec can express."""

from lxml import etree
from msgspec.structs import replace

from reconciler.hypervisor.domain_amend import amend
from reconciler.hypervisor.domain_xml import parse, render
from reconciler.model.domain import DiskConfig, IoTuneConfig
from tests.contract.objects import MIB, domain_config

_CONFIG = domain_config("web-1", DiskConfig("vda", "/p/root.qcow2", "qcow2"))


def _tuned() -> etree._Element:
    """The domain as people and libvirt have added to it."""
    root = etree.fromstring(render(_CONFIG))
    metadata, kind, disk = root.find("metadata"), root.find("os/type"), root.find("devices/disk")
    devices = root.find("devices")
    assert metadata is not None and kind is not None and disk is not None and devices is not None  # noqa: PT018
    etree.SubElement(metadata, "{urn:theirs}note").text = "mine"
    kind.set("machine", "pc-q35-7.2")
    etree.SubElement(disk, "serial").text = "WD-100"
    etree.SubElement(disk, "iotune").append(etree.fromstring("<total_iops_sec>100</total_iops_sec>"))
    etree.SubElement(disk, "address", type="pci", bus="0x05")
    devices.append(etree.fromstring("<hostdev mode='subsystem' type='usb'/>"))
    return root


def _amended() -> etree._Element:
    wanted = replace(
        _CONFIG,
        memory=64 * MIB,
        max_memory=64 * MIB,
        disks=(DiskConfig("vda", "/p/other.qcow2", "qcow2"), DiskConfig("vdb", "/p/data.raw", "raw")),
    )
    return etree.fromstring(amend(etree.tostring(_tuned(), encoding="unicode"), wanted))


def test_the_version_of_the_machine_type_stays() -> None:
    assert _amended().find("os/type").get("machine") == "pc-q35-7.2"  # type: ignore[union-attr]


def test_metadata_of_others_stays() -> None:
    assert _amended().findtext("metadata/{urn:theirs}note") == "mine"


def test_a_disk_that_stays_keeps_its_address_and_its_tuning() -> None:
    disk = _amended().find("devices/disk")

    assert disk is not None
    assert disk.find("source").get("file") == "/p/other.qcow2"  # type: ignore[union-attr]
    assert disk.find("address").get("bus") == "0x05"  # type: ignore[union-attr]
    assert disk.findtext("serial") == "WD-100"


def test_a_limit_that_the_spec_does_not_have_goes() -> None:
    assert _amended().find("devices/disk/iotune") is None


def test_a_limit_that_stays_is_left_with_what_was_added_to_it() -> None:
    limited = replace(_CONFIG, disks=(replace(_CONFIG.disks[0], io_tune=IoTuneConfig(total_iops=100)),))
    tuned = _tuned()
    tuned.find("devices/disk/iotune").append(etree.fromstring("<group_name>g</group_name>"))  # type: ignore[union-attr]

    amended = etree.fromstring(amend(etree.tostring(tuned, encoding="unicode"), limited))

    assert amended.findtext("devices/disk/iotune/group_name") == "g"


def test_what_libvirt_tells_people_of_a_domain_is_set_and_taken_off() -> None:
    told = replace(_CONFIG, title="Shop", description="two\nlines")

    amended = amend(render(_CONFIG), told)

    assert (parse(amended).config.title, parse(amended).config.description) == ("Shop", "two\nlines")
    assert "title" not in amend(amended, _CONFIG)


def test_devices_that_no_spec_can_express_stay_and_are_told() -> None:
    assert _amended().find("devices/hostdev") is not None
    assert parse(etree.tostring(_tuned(), encoding="unicode")).restricted == ("hostdev",)


def test_a_disk_that_is_no_longer_wanted_goes() -> None:
    amended = amend(render(_CONFIG), replace(_CONFIG, disks=()))

    assert parse(amended).config.disks == ()

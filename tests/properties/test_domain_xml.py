"""Laws of the domain XML: nothing is lost on the way there and back, whatever else the document holds."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from reconciler.hypervisor.domain_amend import amend, same_machine
from reconciler.hypervisor.domain_xml import parse, render
from reconciler.model.domain import (
    BandwidthConfig,
    DiskConfig,
    DomainConfig,
    IoTuneConfig,
    NicConfig,
    OwnershipMark,
    TrafficConfig,
    WatchdogConfig,
)

pytestmark = pytest.mark.no_cover  # a tracer makes it twice as long, and adds next to no line

_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
_NASTY = st.sampled_from(["</name><qemu:commandline>", "a'b\"c", "&amp;<!-- x", "]]>", "\N{SNOWMAN}", "x\ty"])
_WORDS = _NAMES | _NASTY
_PATHS = st.builds("/srv/{}/{}".format, _NAMES, _WORDS)
_SIZES = st.integers(1, 1 << 20).map(lambda mebibytes: mebibytes << 20)
_LETTERS = "abcdefghijklmnop"


_IO_TUNES = st.none() | st.builds(
    IoTuneConfig, st.integers(1, 1 << 40), total_iops=st.integers(0, 9), write_iops=st.integers(0, 1 << 20)
)
_TRAFFIC = st.builds(TrafficConfig, _SIZES, st.just(0) | _SIZES, st.just(0) | _SIZES)
_BANDWIDTHS = st.none() | st.builds(BandwidthConfig, _TRAFFIC, st.none() | _TRAFFIC)


def _disks(count: int) -> st.SearchStrategy[tuple[DiskConfig, ...]]:
    """Disks in libvirt's order: by bus, then by target."""

    def build(rows: list[tuple[Any, ...]]) -> tuple[DiskConfig, ...]:
        rows.sort(key=lambda row: ("virtio", "scsi", "sata", "ide").index(row[0]))
        letters = {name: iter(_LETTERS) for name in ("vd", "sd", "hd")}
        return tuple(
            DiskConfig(
                target=prefix + next(letters[prefix]),
                path=path,
                format=disk_format,
                bus=bus,
                block_device=block,
                read_only=read_only,
                io_tune=io_tune,
            )
            for bus, path, disk_format, block, read_only, io_tune in rows
            for prefix in [{"virtio": "vd", "ide": "hd"}.get(bus, "sd")]
        )

    row = st.tuples(
        st.sampled_from(["virtio", "scsi", "sata", "ide"]),
        _PATHS,
        st.sampled_from(["qcow2", "raw"]),
        st.booleans(),
        st.booleans(),
        _IO_TUNES,
    )
    return st.lists(row, max_size=count).map(build)


_SEEDS = st.none() | st.builds(DiskConfig, st.just("vdz"), _PATHS, st.just("raw"), read_only=st.just(True))
_NICS = st.lists(
    st.builds(
        NicConfig,
        st.integers(0, 0xFFFFFF).map(lambda n: f"52:54:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"),
        _WORDS,
        st.sampled_from(["virtio", "e1000e", "e1000"]),
        st.sampled_from(["up", "down"]),
        _BANDWIDTHS,
    ),
    max_size=4,
    unique_by=lambda nic: nic.mac,
).map(tuple)
_MARKS = st.none() | st.builds(
    OwnershipMark,
    fleet=_WORDS,
    vm=_WORDS,
    epoch=st.integers(0, 1 << 40),
    spec_hash=_WORDS,
    generation=_WORDS,
    deletion_policy=st.sampled_from(["retain", "delete"]),
    prune=st.sampled_from(["enabled", "disabled"]),
    cpu_model=st.sampled_from(["", "host-model", "EPYC"]),
)


_WATCHDOGS = st.none() | st.builds(
    WatchdogConfig, st.just("i6300esb"), st.sampled_from(["reset", "poweroff", "pause", "none"])
)


@st.composite
def domain_configs(draw: st.DrawFn) -> DomainConfig:
    """Any configuration that a spec may lead to, and some that none should."""
    vcpus, memory = draw(st.integers(1, 64)), draw(_SIZES)
    serial = draw(st.booleans())
    return DomainConfig(
        name=draw(_WORDS),
        uuid=str(draw(st.uuids())),
        domain_type=draw(st.sampled_from(["kvm", "qemu", "test"])),
        machine=draw(st.sampled_from(["q35", "pc", "pc-q35-7.2", "pc-i440fx-6.0"])),
        firmware=draw(st.sampled_from(["bios", "uefi", "uefi-secure"])),
        vcpus=vcpus,
        max_vcpus=vcpus + draw(st.integers(0, 8)),
        cpu_model=draw(st.sampled_from(["host-model", "host-passthrough", "maximum", "EPYC", "qemu64"])),
        memory=memory,
        max_memory=memory + draw(st.just(0) | _SIZES),
        disks=draw(_disks(5)),
        nics=draw(_NICS),
        seed=draw(_SEEDS),
        graphics=draw(st.sampled_from(["none", "vnc"])),
        agent_channel=draw(st.booleans()),
        serial_console=serial,
        console_log=draw(st.none() | _PATHS) if serial else None,
        rng=draw(st.booleans()),
        balloon=draw(st.booleans()),
        autostart=draw(st.booleans()),
        mark=draw(_MARKS),
        watchdog=draw(_WATCHDOGS),
        title=draw(st.just("") | _WORDS),
        description=draw(st.just("") | _WORDS),
        clock=draw(st.sampled_from(["utc", "localtime"])),
    )


def _parsed(xml: str, like: DomainConfig) -> DomainConfig:
    return parse(xml, autostart=like.autostart).config


def _served(observed: DomainConfig, wanted: DomainConfig) -> DomainConfig:
    """What was observed, its machine type told as it was asked for where it serves."""
    return replace(observed, machine=wanted.machine) if same_machine(observed.machine, wanted.machine) else observed


def _as_a_host_would_say(xml: str, chance: random.Random) -> str:
    """The same domain with a host's own additions, its devices in another order, white space elsewhere."""
    root = etree.fromstring(xml)
    devices = root.find("devices")
    assert devices is not None
    children = list(devices)
    kept_in_order = [child for child in children if child.tag in ("disk", "interface")]
    chance.shuffle(others := [child for child in children if child.tag not in ("disk", "interface")])
    devices[:] = [*others, *kept_in_order] if chance.random() < 0.5 else [*kept_in_order, *others]
    for tag in ("emulator", "input", "audio"):
        devices.insert(chance.randrange(len(devices) + 1), etree.Element(tag, type="x"))
    for device in devices:
        device.append(etree.Element("address", type="pci", bus="0x01"))
    root.insert(0, etree.Comment("added"))
    root.append(etree.Element("seclabel", type="dynamic"))
    if chance.random() < 0.5:
        etree.indent(root, "\t")
    return etree.tostring(root, encoding="unicode")


@given(domain_configs())
def test_parsing_what_was_rendered_gives_the_configuration_back(config: DomainConfig) -> None:
    assert _parsed(render(config), config) == config


@given(domain_configs())
def test_a_rendered_domain_holds_nothing_that_a_spec_cannot_express(config: DomainConfig) -> None:
    assert parse(render(config)).restricted == ()


@given(domain_configs(), st.randoms())
def test_what_a_host_adds_is_not_seen_as_part_of_the_configuration(config: DomainConfig, chance: random.Random) -> None:
    assert _parsed(_as_a_host_would_say(render(config), chance), config) == config


@given(domain_configs(), domain_configs(), st.randoms())
def test_amending_any_domain_to_any_configuration_gives_that_configuration(
    before: DomainConfig, wanted: DomainConfig, chance: random.Random
) -> None:
    amended = amend(_as_a_host_would_say(render(before), chance), wanted)

    assert _served(_parsed(amended, wanted), wanted) == wanted


@given(domain_configs(), domain_configs())
def test_amending_twice_changes_nothing_more(before: DomainConfig, wanted: DomainConfig) -> None:
    once = amend(render(before), wanted)

    assert amend(once, wanted) == once


@given(domain_configs(), st.randoms())
def test_amending_to_what_is_there_leaves_the_text_as_it_is(config: DomainConfig, chance: random.Random) -> None:
    xml = _as_a_host_would_say(render(config), chance)

    assert amend(xml, config) == xml

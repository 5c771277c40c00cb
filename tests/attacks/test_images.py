"""Attack cases 1 to 10: images that would read the controller or a host, exhaust it, or be two things at once.

Every file is a real one, made by qemu-img or byte by byte, and goes in by the door that specs use.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import reconciler.images
from reconciler.errors import ChecksumMismatch, DisguisedVolume, ImageError
from reconciler.hypervisor.interface import Sink
from reconciler.images import refusals
from reconciler.images.catalog import ImageStore
from reconciler.images.export import Export
from reconciler.model.policy import Policy
from reconciler.model.version import VersionDisk
from tests.attacks.conftest import SECRET, Door
from tests.contract.conftest import Ground
from tests.contract.objects import MIB, pool_config
from tests.lab.waiting import wait_for
from tests.unit.images.conftest import MakeQcow2, patched, path_image, url_image
from tests.unit.images.web import WebServer
from tests.unit.specfiles.fleets import BASE, document, load_fleet, only, write

QemuImg = Callable[..., None]


@pytest.mark.parametrize("offset_wiped", [False, True])
def test_01_a_backing_file(
    door: Door, tmp_path: Path, qemu_img: QemuImg, secret_file: Path, *, offset_wiped: bool
) -> None:
    """Refused from the header, before any program of QEMU opens it; its format alone tells that there was one."""
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", str(secret_file), "-F", "raw", "evil.qcow2", "1G")
    if offset_wiped:
        patched(patched(tmp_path / "evil.qcow2", 8, ">Q", 0), 16, ">I", 0)

    door.refuses(tmp_path / "evil.qcow2", "qcow2", refusals.BackingFile, secret_file)


@pytest.mark.parametrize("bit_cleared", [False, True])
def test_02_an_external_data_file(door: Door, qcow2: MakeQcow2, secret_file: Path, *, bit_cleared: bool) -> None:
    path = qcow2("evil.qcow2", "-o", f"data_file={secret_file.with_name('data')},data_file_raw=on")
    if bit_cleared:
        patched(patched(path, 72, ">Q", 0), 88, ">Q", 0)

    door.refuses(path, "qcow2", refusals.ExternalDataFile, secret_file.with_name("data"))


@pytest.mark.parametrize(
    "description",
    [
        'json:{"driver":"raw","file":{"driver":"file","filename":"SECRET"}}',
        'json:{"driver":"nbd","host":"169.254.169.254","port":"80"}',
    ],
)
def test_03_a_json_backing_description(
    door: Door, tmp_path: Path, qemu_img: QemuImg, secret_file: Path, description: str
) -> None:
    backing = description.replace("SECRET", str(secret_file))
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", "raw", "evil.qcow2", "1G")

    door.refuses(tmp_path / "evil.qcow2", "qcow2", refusals.JsonBackingFile, secret_file, "169.254")


@pytest.mark.parametrize("declared", ["qcow2", "raw"])
@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentFlat", "streamOptimized"])
def test_04_a_vmdk_whose_extent_is_a_path_of_the_host(
    door: Door, tmp_path: Path, qemu_img: QemuImg, secret_file: Path, subformat: str, declared: str
) -> None:
    """Only raw and qcow2 are accepted, whatever a descriptor is declared to be."""
    qemu_img("create", "-q", "-f", "vmdk", "-o", f"subformat={subformat}", "other.vmdk", "16M")
    path = tmp_path / "other.vmdk"
    if subformat == "monolithicFlat":
        path.write_text(path.read_text().replace("other-flat.vmdk", str(secret_file)))

    door.refuses(path, declared, refusals.ForeignFormat, secret_file)


@pytest.mark.parametrize(("declared", "is_qcow2"), [("raw", True), ("qcow2", False)])
def test_05_another_format_than_declared(
    door: Door, tmp_path: Path, qcow2: MakeQcow2, declared: str, *, is_qcow2: bool
) -> None:
    path = qcow2() if is_qcow2 else tmp_path / "disk.raw"
    if not is_qcow2:
        path.write_bytes((SECRET.encode() * MIB)[:MIB])

    door.refuses(path, declared, refusals.WrongFormat)


def test_06_a_guest_writes_the_header_of_a_qcow2_into_its_raw_disk(
    ground: Ground, tmp_path: Path, qemu_img: QemuImg
) -> None:
    """libvirt probes what it finds, and would resize or copy the host's file that the header names as its data."""  # noqa: D403
    ground.host.define_pool(pool_config(ground.pool_path))
    victim = Path(ground.pool_path) / "victim.raw"
    header = tmp_path / "header.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'other'}", str(header), "1M")
    header.write_bytes(_with_data_file(header.read_bytes(), tmp_path / "other", victim))
    ground.host.create_volume("vms", "victim.raw", format="raw", capacity=MIB)
    ground.host.create_volume("vms", "f.web.root.raw", format="raw", capacity=4 * MIB)
    with header.open("rb") as content:
        ground.host.upload_volume("vms", "f.web.root.raw", content, header.stat().st_size, lambda _done: None)
    # libvirt looks at what is in a pool by itself, some time after an upload; before that it takes the disk for raw.
    wait_for(lambda: _format_of(ground, "f.web.root.raw") == "qcow2", 30, "libvirt does not find the header")

    with pytest.raises(DisguisedVolume) as grown:
        ground.host.grow_volume("vms", "f.web.root.raw", 8 * MIB, format="raw")
    with pytest.raises(DisguisedVolume):
        ground.host.clone_volume(
            "vms", "f.copy.root.raw", format="raw", capacity=4 * MIB, source="f.web.root.raw", source_format="raw"
        )

    untouched = ground.host.volume("vms", "victim.raw")
    assert untouched is not None
    assert untouched.capacity == MIB
    assert ground.host.volume("vms", "f.copy.root.raw") is None
    assert "victim" not in str(grown.value)


def _format_of(ground: Ground, volume: str) -> str:
    found = ground.host.volume("vms", volume)
    return "" if found is None else found.format


def _with_data_file(header: bytes, old: Path, new: Path) -> bytes:
    """The name of the data file is the text of a header extension, padded to eight bytes; the new one is no longer."""
    begin = header.index(b"\x44\x41\x54\x41")
    length = -(-len(str(old)) // 8) * 8
    text = str(new).encode()
    rest = header[begin + 8 + length :]
    extension = header[begin : begin + 4] + len(text).to_bytes(4, "big") + text.ljust(-(-len(text) // 8) * 8, b"\0")
    return (header[:begin] + extension + rest)[: len(header)].ljust(len(header), b"\0")


@pytest.mark.parametrize(
    ("offset", "form", "value", "error"),
    [
        (24, ">Q", 1 << 41, refusals.ImageTooLarge),  # virtual size
        (24, ">Q", (1 << 64) - 1, refusals.ImageTooLarge),
        (36, ">I", 0xFFFFFFFF, refusals.OversizedTables),  # entries of its first table
        (56, ">I", 0xFFFFFFFF, refusals.OversizedTables),  # clusters of its refcount table
        (None, "", 0, refusals.CompressionBomb),
    ],
)
def test_07_absurd_sizes_and_compression_bombs(
    door: Door, qcow2: MakeQcow2, offset: int | None, form: str, value: int, error: type[ImageError]
) -> None:
    """Of a bomb no more than its header is read: a few hundred KiB that claim to become 100 GiB."""
    path = qcow2("bomb.qcow2", size="100G") if offset is None else patched(qcow2(), offset, form, value)

    door.refuses(path, "qcow2", error)


def test_07_a_program_that_opens_a_disk_has_limits_of_cpu_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what QEMU itself has written is opened, by an export or to be compressed; what comes in never is."""
    folder = Path(reconciler.images.__file__ or "").parent
    callers = {path.name: path.read_text() for path in folder.glob("*.py") if "import subprocess" in path.read_text()}
    assert sorted(callers) == ["compress.py", "export.py"]
    assert all("convert_within(" in text and '"qemu-img"' not in text for text in callers.values())
    limits = (folder / "qemu_img.py").read_text()
    assert "--as=" in limits
    assert "--cpu=" in limits
    programs = tmp_path / "programs"
    programs.mkdir()
    fake, told = programs / "qemu-img", tmp_path / "limits"
    fake.write_text(f"#!/bin/sh\n(ulimit -v; ulimit -t) > {told}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    content = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(96) + (104).to_bytes(4, "big") + bytes(408)
    disk = VersionDisk("root", "v", MIB, len(content), "sha256:" + hashlib.sha256(content).hexdigest())

    Export([disk], tmp_path / "disk.raw", "raw").write(lambda _v, sink, _p, _o: _write(sink, content), lambda _: None)

    memory, seconds = told.read_text().split()
    assert int(memory) <= 2 << 20  # KiB
    assert int(seconds) <= 600


def _write(sink: Sink, content: bytes) -> None:
    sink.write(content)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("source: {url: 'https://x/y'}, format: raw", "S020"),
        ("source: {url: 'https://x/y'}, checksum: 'md5:d41d8cd98f00b204e9800998ecf8427e', format: raw", "S019"),
        (
            "source: {url: 'https://x/y'}, checksum: 'sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709', format: raw",
            "S019",
        ),
        ("source: {url: 'https://x/y'}, checksum: 'sha256:0', format: raw", "S019"),
    ],
)
def test_08_no_checksum_or_a_weak_one(tmp_path: Path, source: str, code: str) -> None:
    problem = only(load_fleet(write(tmp_path, base=BASE, image=document("Image", "i", source))))

    assert problem.code == code


def test_08_a_wrong_checksum(store: ImageStore, web: WebServer, tmp_path: Path) -> None:
    """Both digests are told, and nothing is kept."""
    declared, actual = "sha256:" + "0" * 64, "sha256:" + hashlib.sha256(web.content).hexdigest()

    with pytest.raises(ChecksumMismatch, match=declared) as caught:
        store.fetch(url_image(web.url(), declared), lambda _done, _total: None, threading.Event())

    assert actual in str(caught.value)

    assert [path for path in (tmp_path / "state" / "images").iterdir() if path.suffix != ".lock"] == []


def test_09_content_changed_at_the_same_url(store: ImageStore, web: WebServer) -> None:
    """What was verified stays in use; the new content is not taken for it, nor for what a new checksum declares."""
    before = web.content
    old = url_image(web.url(), "sha256:" + hashlib.sha256(before).hexdigest())
    store.fetch(old, lambda _done, _total: None, threading.Event())
    web.content = SECRET.encode() + before

    with pytest.raises(ChecksumMismatch) as caught:
        store.fetch(url_image(web.url(), "sha256:" + "1" * 64), lambda _done, _total: None, threading.Event())

    assert SECRET not in str(caught.value)
    content, length = store.open(old)
    with content:
        assert content.read(length) == before


def test_10_a_polyglot_of_iso_and_qcow2(door: Door, qcow2: MakeQcow2) -> None:
    path = patched(patched(qcow2(), 0x8000, ">B", 1), 0x8001, "5s", b"CD001")

    door.refuses(path, "qcow2", refusals.AmbiguousFormat)


def test_the_corpus_is_no_excuse_for_refusing_everything(tmp_path: Path, qcow2: MakeQcow2) -> None:
    """By the same door an ordinary image passes."""
    store = ImageStore(tmp_path / "state", Policy())

    assert store.facts(path_image(qcow2(), image_format="qcow2")).cached

"""An image that could read the controller, exhaust it, or be two things at once is refused from its header."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import UnsafeImage
from reconciler.images import refusals
from reconciler.images.inspect import ImageFormat, InspectedImage, inspect
from tests.unit.images.conftest import MakeQcow2, patched

GIB = 1 << 30


def look(path: Path, declared: ImageFormat = "qcow2", limit: int = 1 << 40) -> InspectedImage:
    return inspect(path, declared, max_virtual_size=limit, subject="Image/x")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-o", "compat=0.10"),
        ("-o", "compat=1.1,lazy_refcounts=on"),
        ("-o", "compression_type=zstd"),
        ("-o", "cluster_size=512"),
        ("-o", "cluster_size=2M"),
        ("-o", "preallocation=metadata"),
        ("-o", "refcount_bits=1"),
    ],
)
def test_accepts_what_qemu_img_makes(qcow2: MakeQcow2, options: tuple[str, ...]) -> None:
    """Ordinary qcow2 of every flavour passes, with its virtual size."""
    path = qcow2("good.qcow2", *options)

    found = look(path)

    assert found == InspectedImage("qcow2", GIB, path.stat().st_size)


def test_accepts_a_compressed_image_with_content(tmp_path: Path, qemu_img: Callable[..., None]) -> None:
    """A compressed image as distributions publish it passes."""
    (tmp_path / "disk.raw").write_bytes(os.urandom(1 << 20) + bytes(7 << 20))
    qemu_img("convert", "-c", "-O", "qcow2", "disk.raw", "disk.qcow2")

    found = look(tmp_path / "disk.qcow2")

    assert found.virtual_size == 8 << 20


def test_accepts_a_partitioned_raw_disk(tmp_path: Path) -> None:
    """A raw disk with a partition table is a raw disk; its size is its virtual size."""
    sector = bytearray(512)
    sector[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\x02\0", 0x83, b"\0\0\0", 2048, 2048)
    sector[510:] = b"\x55\xaa"
    path = tmp_path / "disk.raw"
    path.write_bytes(sector + bytes((1 << 20) - 512))

    found = look(path, "raw")

    assert found == InspectedImage("raw", 1 << 20, 1 << 20)


def test_accepts_a_plain_raw_disk(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(os.urandom(512) + bytes(4 << 20))

    assert look(path, "raw").virtual_size == (4 << 20) + 512


def test_an_encrypted_image_is_refused(tmp_path: Path, qemu_img: Callable[..., None]) -> None:
    secret = ("--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s")
    qemu_img("create", "-q", "-f", "qcow2", *secret, "evil.qcow2", "1G")

    with pytest.raises(refusals.EncryptedImage):
        look(tmp_path / "evil.qcow2")


def test_a_luks_container_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"LUKS\xba\xbe\x00\x01" + bytes((1 << 20) - 8))

    with pytest.raises(refusals.WrongFormat, match="luks"):
        look(path, "raw")


def test_internal_snapshots_are_refused(qcow2: MakeQcow2, qemu_img: Callable[..., None]) -> None:
    path = qcow2("old.qcow2")
    qemu_img("snapshot", "-c", "before", "old.qcow2")

    with pytest.raises(refusals.InternalSnapshots):
        look(path)


def test_bitmaps_are_refused(qcow2: MakeQcow2, qemu_img: Callable[..., None]) -> None:
    path = qcow2("old.qcow2")
    qemu_img("bitmap", "--add", "old.qcow2", "b0")

    with pytest.raises(refusals.UnknownFeatures):
        look(path)


@pytest.mark.parametrize("bit", [4, 5, 8, 31, 63])
def test_unknown_incompatible_features_are_refused(qcow2: MakeQcow2, bit: int) -> None:
    path = patched(qcow2(), 72, ">Q", 1 << bit)

    with pytest.raises(refusals.UnknownFeatures):
        look(path)


@pytest.mark.parametrize("bit", [0, 1])
def test_dirty_and_corrupt_images_are_refused(qcow2: MakeQcow2, bit: int) -> None:
    path = patched(qcow2(), 72, ">Q", 1 << bit)

    with pytest.raises(refusals.UncleanImage):
        look(path)


@pytest.mark.parametrize("version", [0, 1, 4, 0xFFFFFFFF])
def test_other_versions_of_qcow_are_refused(qcow2: MakeQcow2, version: int) -> None:
    path = patched(qcow2(), 4, ">I", version)

    with pytest.raises(refusals.UnknownFeatures):
        look(path)


@pytest.mark.parametrize(
    ("offset", "form", "value", "refusal"),
    [
        (20, ">I", 8, refusals.DamagedHeader),  # cluster bits
        (20, ">I", 22, refusals.DamagedHeader),
        (20, ">I", 0xFFFFFFFF, refusals.DamagedHeader),
        (24, ">Q", 0, refusals.DamagedHeader),  # virtual size
        (24, ">Q", 1 << 39, refusals.DamagedHeader),  # beyond the L1 table
        (24, ">Q", (1 << 64) - 1, refusals.ImageTooLarge),
        (24, ">Q", 1 << 41, refusals.ImageTooLarge),
        (36, ">I", 0, refusals.DamagedHeader),  # L1 entries
        (36, ">I", 0xFFFFFFFF, refusals.OversizedTables),
        (36, ">I", 1 << 20, refusals.TruncatedImage),
        (40, ">Q", 7, refusals.DamagedHeader),  # L1 offset
        (40, ">Q", 1 << 40, refusals.TruncatedImage),
        (48, ">Q", 0, refusals.DamagedHeader),  # refcount table offset
        (48, ">Q", (1 << 64) - 65536, refusals.TruncatedImage),
        (56, ">I", 0, refusals.DamagedHeader),  # refcount table clusters
        (56, ">I", 0xFFFFFFFF, refusals.OversizedTables),
        (60, ">I", 0xFFFFFFFF, refusals.InternalSnapshots),
        (96, ">I", 7, refusals.DamagedHeader),  # refcount order
        (100, ">I", 0, refusals.DamagedHeader),  # header length
        (100, ">I", 72, refusals.DamagedHeader),
        (100, ">I", 105, refusals.DamagedHeader),
        (100, ">I", 0xFFFFFFF8, refusals.DamagedHeader),
        (104, ">B", 1, refusals.UnknownFeatures),  # compression type without its bit
        (32, ">I", 1, refusals.EncryptedImage),
    ],
)
def test_absurd_header_values_are_refused(
    qcow2: MakeQcow2, offset: int, form: str, value: int, refusal: type[UnsafeImage]
) -> None:
    path = patched(qcow2(), offset, form, value)

    with pytest.raises(refusal):
        look(path)


def test_an_unknown_compression_is_refused(qcow2: MakeQcow2) -> None:
    path = patched(qcow2("z.qcow2", "-o", "compression_type=zstd"), 104, ">B", 2)

    with pytest.raises(refusals.UnknownFeatures):
        look(path)


def test_an_endless_header_extension_is_refused(qcow2: MakeQcow2) -> None:
    path = patched(qcow2(), 112 + 4, ">I", 0xFFFFFFFF)

    with pytest.raises(refusals.DamagedHeader):
        look(path)


@pytest.mark.parametrize("size", [1, 4, 71, 72, 103, 104, 111, 300, 511, 65536, 200_000])
def test_a_truncated_qcow2_is_refused(qcow2: MakeQcow2, size: int) -> None:
    path = qcow2("cut.qcow2", "-o", "preallocation=metadata")
    os.truncate(path, size)

    with pytest.raises((refusals.TruncatedImage, refusals.WrongFormat)):
        look(path)


def test_a_truncated_raw_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.raw"
    path.write_bytes(bytes(100_000))

    with pytest.raises(refusals.TruncatedImage):
        look(path, "raw")


@pytest.mark.parametrize("declared", ["qcow2", "raw"])
def test_an_empty_file_is_refused(tmp_path: Path, declared: ImageFormat) -> None:
    path = tmp_path / "empty"
    path.touch()

    with pytest.raises(refusals.EmptyImage):
        look(path, declared)


@pytest.mark.parametrize("other", ["vmdk", "vdi", "vpc", "vhdx", "qed", "parallels"])
@pytest.mark.parametrize("declared", ["qcow2", "raw"])
def test_other_formats_are_refused_whatever_is_declared(
    tmp_path: Path, qemu_img: Callable[..., None], other: str, declared: ImageFormat
) -> None:
    qemu_img("create", "-q", "-f", other, "other.img", "16M")

    with pytest.raises(refusals.WrongFormat):
        look(tmp_path / "other.img", declared)


def test_a_fixed_vhd_is_told_by_its_end(tmp_path: Path, qemu_img: Callable[..., None]) -> None:
    qemu_img("create", "-q", "-f", "vpc", "-o", "subformat=fixed", "fixed.vhd", "16M")

    with pytest.raises(refusals.WrongFormat, match="vhd"):
        look(tmp_path / "fixed.vhd", "raw")


def iso_descriptor(path: Path) -> Path:
    return patched(patched(path, 0x8000, ">B", 1), 0x8001, "5s", b"CD001")


def test_an_iso_declared_raw_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "live.iso"
    path.write_bytes(bytes(1 << 20))

    with pytest.raises(refusals.WrongFormat, match="iso"):
        look(iso_descriptor(path), "raw")


def test_text_that_confuses_the_parser_is_refused(tmp_path: Path) -> None:
    """Text that can't be decoded after its first sector breaks oslo's VMDK inspector: no reason to let it pass."""
    path = tmp_path / "text.raw"
    path.write_bytes(b"a" * 512 + b"\xff" * 512)

    with pytest.raises(refusals.AmbiguousFormat):
        look(path, "raw")


def test_policy_caps_the_virtual_size(qcow2: MakeQcow2) -> None:
    with pytest.raises(refusals.ImageTooLarge):
        look(qcow2(), limit=GIB - 1)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "odd")

    with pytest.raises(refusals.NotARegularFile):
        look(tmp_path / "odd", "raw")


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(refusals.ImageUnavailable, match="No such file"):
        look(tmp_path / "gone", "raw")


PATCHES = st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=8)), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patches=PATCHES)
def test_whatever_stands_in_the_header_is_accepted_or_refused(
    qcow2: MakeQcow2, patches: list[tuple[int, bytes]]
) -> None:
    """No header makes the inspection fail in another way, and what passes is within the bounds."""
    path = qcow2()
    for offset, data in patches:
        patched(path, offset, f"{len(data)}s", data)

    found = accepted(path, "qcow2")

    assert found is None or 0 < found.virtual_size <= 1 << 34


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2048), declared=st.sampled_from(["raw", "qcow2"]))
def test_whatever_a_file_holds_is_accepted_or_refused(tmp_path: Path, content: bytes, declared: ImageFormat) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)

    found = accepted(path, declared)

    assert found is None or found.virtual_size == len(content)


def accepted(path: Path, declared: ImageFormat) -> InspectedImage | None:
    """What was found; None where the image was refused."""
    try:
        return look(path, declared, limit=1 << 34)
    except UnsafeImage:
        return None

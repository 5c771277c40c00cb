"""A bootable disk image from a folder of files: one ext4 partition, a boot sector for BIOS, no loop device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.guest.boot_sector import boot_sector, pieces_of
from tests.lab.guest.commands import run

_SECTOR = 512
_ALIGNMENT = 1 << 20
# The guest's fsck and the builder's mke2fs may be of different ages.
_EXT4_FEATURES = "^metadata_csum_seed,^orphan_file,^metadata_csum,^64bit"


@dataclass(frozen=True, slots=True)
class Boot:
    """What the disk starts."""

    kernel: Path
    initramfs: Path
    options: Sequence[str]


def make_disk(root: Path, size: int, boot: Boot, image: Path, *, work: Path, compress: bool) -> None:
    """Write a qcow2 of ``size`` bytes (a multiple of 1 MiB) that boots the files under ``root``.

    The root file system has the label ``lab-root``; ``work`` is a folder for intermediate files.
    """
    raw = work / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(size)
    first = _write_boot_area(raw, boot, work)
    _partition(raw, first, work)
    run([
        *("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", "lab-root", "-m", "0", "-O", _EXT4_FEATURES, "-d", root),
        *("-E", f"offset={first},lazy_itable_init=0,nodiscard", raw, f"{(size - first) // 1024}k"),
    ])  # fmt: skip
    # zstd takes a fifth of zlib's time, and no more room.
    compression = ["-c", "-o", "compression_type=zstd"] if compress else []
    run(["qemu-img", "convert", "-O", "qcow2", *compression, raw, image])
    raw.unlink()


def _write_boot_area(raw: Path, boot: Boot, work: Path) -> int:
    """Write boot sector, kernel and initramfs before the partition, and return where that may begin, in bytes.

    Out of a file system they would be read block by block, which takes a fifth of the boot under emulation.
    """
    loaded = pieces_of(boot.kernel.read_bytes(), boot.initramfs.read_bytes(), " ".join(boot.options))
    position = _ALIGNMENT
    sectors = []
    with raw.open("r+b") as disk:
        for piece in loaded:
            disk.seek(position)
            disk.write(piece.content)
            sectors.append(position // _SECTOR)
            position = _aligned(position + len(piece.content))
        disk.seek(0)
        disk.write(boot_sector(loaded, sectors, work))
    return position


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def _partition(raw: Path, first: int, work: Path) -> None:
    table = work / "partitions"
    table.write_text(f"label: dos\nstart={first // _SECTOR}, type=83, bootable\n")
    run(["sh", "-c", 'exec sfdisk --quiet "$1" <"$2"', "sfdisk", raw, table])

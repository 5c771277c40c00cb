"""A bootable disk image from a folder of files: one ext4 partition, GRUB for BIOS, no loop device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.guest.commands import run

_SECTOR = 512
_ALIGNMENT = 1 << 20
_GRUB = Path("/usr/lib/grub/i386-pc")
# linux16 loads the kernel where it belongs; linux would copy all of it byte by byte, 1.6 s under emulation.
_GRUB_MODULES = ("biosdisk", "linux16")
_MBR_CODE = 440
# The guest's fsck and the builder's mke2fs may be of different ages.
_EXT4_FEATURES = "^metadata_csum_seed,^orphan_file,^metadata_csum,^64bit"


@dataclass(frozen=True, slots=True)
class Boot:
    """What GRUB starts."""

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
    """Write GRUB, kernel and initramfs before the partition, and return where that may begin, in bytes.

    Out of a file system GRUB reads block by block, which takes a fifth of the boot under emulation.
    """
    position = _ALIGNMENT
    places = []
    with raw.open("r+b") as disk:
        for file in (boot.kernel, boot.initramfs):
            disk.seek(position)
            content = file.read_bytes()
            disk.write(content)
            places.append(f"(hd0){position // _SECTOR}+{-(-len(content) // _SECTOR)}")
            position = _aligned(position + len(content))
    kernel, initramfs = places
    _install_grub(raw, f"linux16 {kernel} {' '.join(boot.options)}\ninitrd16 {initramfs}\nboot\n", work)
    return position


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def _partition(raw: Path, first: int, work: Path) -> None:
    table = work / "partitions"
    table.write_text(f"label: dos\nstart={first // _SECTOR}, type=83, bootable\n")
    run(["sh", "-c", 'exec sfdisk --quiet "$1" <"$2"', "sfdisk", raw, table])


def _install_grub(raw: Path, boot_script: str, work: Path) -> None:
    script, core = work / "boot.cfg", work / "core.img"
    script.write_text(boot_script)
    run([
        *("grub-mkimage", "-O", "i386-pc", "-d", _GRUB, "-p", "(hd0)/boot/grub"),
        *("-c", script, "-o", core, *_GRUB_MODULES),
    ])  # fmt: skip
    with raw.open("r+b") as disk:
        disk.write((_GRUB / "boot.img").read_bytes()[:_MBR_CODE])
        disk.seek(_SECTOR)
        disk.write(core.read_bytes())

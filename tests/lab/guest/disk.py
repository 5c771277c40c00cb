"""A bootable disk image from a folder of files: one ext4 partition, GRUB for BIOS, no loop device."""

from __future__ import annotations

from pathlib import Path

from tests.lab.guest.commands import run

_SECTOR = 512
_FIRST_SECTOR = 2048
_GRUB = Path("/usr/lib/grub/i386-pc")
# linux16 loads the kernel where it belongs; linux would copy all of it byte by byte, 1.6 s under emulation.
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux16")
_MBR_CODE = 440
# GRUB 2.06 can't read file systems with a checksum seed or an orphan file.
_EXT4_FEATURES = "^metadata_csum_seed,^orphan_file,^metadata_csum,^64bit"


def make_disk(root: Path, size: int, boot_script: str, image: Path, *, work: Path, compress: bool) -> None:
    """Write a qcow2 of ``size`` bytes (a multiple of 1 MiB) that boots the files under ``root``.

    ``boot_script`` is what GRUB runs: ``linux16``, ``initrd16``, ``boot``. The root file system has the label
    ``lab-root``; ``work`` is a folder for intermediate files.
    """
    raw = work / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(size)
    _partition(raw, work)
    blocks = (size - _FIRST_SECTOR * _SECTOR) // 1024
    run([
        *("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", "lab-root", "-m", "0", "-O", _EXT4_FEATURES, "-d", root),
        *("-E", f"offset={_FIRST_SECTOR * _SECTOR},lazy_itable_init=0,nodiscard", raw, f"{blocks}k"),
    ])  # fmt: skip
    _install_grub(raw, boot_script, work)
    # zstd takes a fifth of zlib's time, and no more room.
    compression = ["-c", "-o", "compression_type=zstd"] if compress else []
    run(["qemu-img", "convert", "-O", "qcow2", *compression, raw, image])
    raw.unlink()


def _partition(raw: Path, work: Path) -> None:
    table = work / "partitions"
    table.write_text(f"label: dos\nstart={_FIRST_SECTOR}, type=83, bootable\n")
    run(["sh", "-c", 'exec sfdisk --quiet "$1" <"$2"', "sfdisk", raw, table])


def _install_grub(raw: Path, boot_script: str, work: Path) -> None:
    script, core = work / "boot.cfg", work / "core.img"
    script.write_text(boot_script)
    run([
        *("grub-mkimage", "-O", "i386-pc", "-d", _GRUB, "-p", "(,msdos1)/boot/grub"),
        *("-c", script, "-o", core, *_GRUB_MODULES),
    ])  # fmt: skip
    with raw.open("r+b") as disk:
        disk.write((_GRUB / "boot.img").read_bytes()[:_MBR_CODE])
        disk.seek(_SECTOR)
        disk.write(core.read_bytes())

"""What the boot sector loads, and where to: a bzImage and its initramfs by Linux's 32-bit boot protocol."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.guest.commands import GuestImageError, run

_SOURCE = Path(__file__).with_suffix(".S")
_LARGEST = 440  # bytes; what follows in a boot sector is the partition table
_SECTOR = 512
_CHUNK = 64 * _SECTOR
_MEBIBYTE = 1 << 20
_SEGMENT = 1 << 16
_SETUP_ADDRESS = 0x10000
_HEAP_END = 0xE000
_COMMAND_LINE = 0xF000
_OLDEST_PROTOCOL = 0x20A  # has init_size


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that belong at an address of the guest's memory."""

    name: str
    content: bytes
    address: int


def pieces_of(kernel: bytes, initramfs: bytes, options: str) -> tuple[Piece, ...]:
    """Real-mode part with its command line, kernel proper, and initramfs, above all that the kernel takes to begin.

    Raises GuestImageError for a kernel that is no bzImage of our times.
    """
    magic, protocol = struct.unpack_from("<4sH", kernel, 0x202)
    if magic != b"HdrS" or protocol < _OLDEST_PROTOCOL:
        raise GuestImageError("guest image: this kernel is no bzImage, or one older than Linux 2.6.31")
    setup_size = (kernel[0x1F1] + 1) * _SECTOR
    preferred, init_size = struct.unpack_from("<QI", kernel, 0x258)
    initramfs_address = -(-(preferred + init_size) // _MEBIBYTE) * _MEBIBYTE

    setup = bytearray(kernel[:setup_size].ljust(_SEGMENT, b"\0"))
    setup[0x210] = 0xFF  # a boot loader without a number of its own
    setup[0x211] |= 0x80  # it tells where the heap ends
    struct.pack_into("<II", setup, 0x218, initramfs_address, len(initramfs))
    struct.pack_into("<H", setup, 0x224, _HEAP_END - 0x200)
    struct.pack_into("<I", setup, 0x228, _SETUP_ADDRESS + _COMMAND_LINE)
    text = options.encode() + b"\0"
    setup[_COMMAND_LINE : _COMMAND_LINE + len(text)] = text
    return (
        Piece("setup", bytes(setup), _SETUP_ADDRESS),
        Piece("kernel", kernel[setup_size:], _MEBIBYTE),
        Piece("initramfs", initramfs, initramfs_address),
    )


def boot_sector(pieces: Sequence[Piece], sectors: Sequence[int], work: Path) -> bytes:
    """Machine code that loads `pieces`, each from where it begins on the disk, and starts the kernel."""
    numbers = {"heap_end": _HEAP_END}
    for piece, sector in zip(pieces, sectors, strict=True):
        numbers[f"{piece.name}_sector"] = sector
        numbers[f"{piece.name}_address"] = piece.address
        numbers[f"{piece.name}_chunks"] = -(-len(piece.content) // _CHUNK)
    compiled, linked = work / "boot.o", work / "boot.bin"
    defined = [word for name, value in numbers.items() for word in ("--defsym", f"{name}={value}")]
    run(["as", "--32", *defined, "-o", compiled, _SOURCE])
    run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", linked, compiled])
    code = linked.read_bytes()
    if len(code) > _LARGEST:
        raise GuestImageError(f"guest image: the boot sector has {len(code)} bytes, more than {_LARGEST}")
    return code

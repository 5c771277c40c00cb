"""The qcow2 header, and what a header for distribution may say.

Bounds are those of QEMU's own driver (`block/qcow2.h`), so that nothing reaches QEMU that QEMU would have to refuse.
"""

from __future__ import annotations

import struct
from typing import Final

from msgspec import Struct

from reconciler.images.refusals import (
    BackingFile,
    DamagedHeader,
    EncryptedImage,
    ExternalDataFile,
    InternalSnapshots,
    JsonBackingFile,
    OversizedTables,
    TruncatedImage,
    UncleanImage,
    UnknownFeatures,
)

MAGIC: Final = b"QFI\xfb"
MAX_CLUSTER: Final = 1 << 21

_V2: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_V3: Final = struct.Struct(">QQQII")
_V3_LENGTH: Final = _V2.size + _V3.size
_EXTENSION: Final = struct.Struct(">II")

_CLUSTER_BITS: Final = range(9, 22)
_MAX_L1_BYTES: Final = 32 << 20
_MAX_REFCOUNT_TABLE_BYTES: Final = 8 << 20
_MAX_REFCOUNT_ORDER: Final = 6
_L2_OFFSET_MASK: Final = 0x00FF_FFFF_FFFF_FE00

_DIRTY: Final = 1 << 0
_CORRUPT: Final = 1 << 1
_DATA_FILE: Final = 1 << 2
_COMPRESSION_TYPE: Final = 1 << 3
_RAW_DATA_FILE: Final = 1 << 1  # among the autoclear bits
_COMPRESSION_TYPES: Final = (0, 1)  # zlib, zstd

_END: Final = 0x0000_0000
_FEATURE_NAMES: Final = 0x6803_F857
_BACKING_FORMAT: Final = 0xE279_2ACA
_ENCRYPTION: Final = 0x0537_BE77
_DATA_FILE_NAME: Final = 0x4441_5441

_FLATTEN: Final = "flatten it: qemu-img convert -O qcow2 IMAGE FLAT.qcow2"


class Qcow2Header(Struct, frozen=True):
    """The fields of a version 2 or 3 header; sizes and offsets in bytes, `l1_size` in entries."""

    version: int
    backing_offset: int
    backing_length: int
    cluster_bits: int
    virtual_size: int
    crypt_method: int
    l1_size: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    incompatible: int
    autoclear: int
    refcount_order: int
    length: int
    compression: int

    @property
    def cluster_size(self) -> int:
        return 1 << self.cluster_bits

    @property
    def l1_needed(self) -> int:
        """Entries that a disk of this size needs at least."""
        covered = self.cluster_size * (self.cluster_size // 8)
        return -(-self.virtual_size // covered)


def parse(head: bytes) -> Qcow2Header:
    """The header at the start of `head`; raises TruncatedImage or UnknownFeatures (other versions)."""
    if len(head) < _V2.size:
        raise TruncatedImage("ends within its qcow2 header", hint="fetch or copy it again")
    fields = _V2.unpack_from(head)
    version = fields[1]
    if version not in (2, 3):
        raise UnknownFeatures("is qcow2 of a version other than 2 and 3", hint=_FLATTEN)
    if version == 3 and len(head) < _V3_LENGTH:
        raise TruncatedImage("ends within its qcow2 header", hint="fetch or copy it again")
    incompatible, _compatible, autoclear, order, length = (
        _V3.unpack_from(head, _V2.size) if version == 3 else (0, 0, 0, 4, _V2.size)
    )
    return Qcow2Header(
        version=version,
        backing_offset=fields[2],
        backing_length=fields[3],
        cluster_bits=fields[4],
        virtual_size=fields[5],
        crypt_method=fields[6],
        l1_size=fields[7],
        l1_offset=fields[8],
        refcount_offset=fields[9],
        refcount_clusters=fields[10],
        snapshots=fields[11],
        incompatible=incompatible,
        autoclear=autoclear,
        refcount_order=order,
        length=length,
        compression=head[_V3_LENGTH] if length > _V3_LENGTH and len(head) > _V3_LENGTH else 0,
    )


def check(header: Qcow2Header, head: bytes, file_size: int) -> None:
    """Refuse a header that leads outside the file or that no image for distribution has.

    `head` is the file's beginning, at least its first cluster. Raises a subclass of UnsafeImage.
    """
    _check_references(header, head)
    _check_features(header)
    _check_geometry(header, file_size)
    _check_extensions(header, head)


def check_alone(head: bytes, subject: str) -> None:
    """Refuse what would have a reader open other files than those that it is told, or guess; `head` is a beginning.

    A backing file may be named: who reads a chain is told it. Raises a subclass of UnsafeImage or ImageError.
    """
    if head[:4] != MAGIC:
        raise DamagedHeader(f"{subject} is not qcow2", hint="use another version")
    header = parse(head)
    if header.incompatible & _DATA_FILE or header.autoclear & _RAW_DATA_FILE:
        raise ExternalDataFile(f"{subject} keeps its data in an external file", hint="use another version")
    if header.crypt_method:
        raise EncryptedImage(f"{subject} is encrypted", hint="use another version")


def _check_references(header: Qcow2Header, head: bytes) -> None:
    if header.backing_offset or header.backing_length:
        if head[header.backing_offset : header.backing_offset + 5] == b"json:":
            raise JsonBackingFile("names a backing file by a json: description", hint=_FLATTEN)
        raise BackingFile("names a backing file", hint=_FLATTEN)
    if header.incompatible & _DATA_FILE or header.autoclear & _RAW_DATA_FILE:
        raise ExternalDataFile("keeps its data in an external file", hint=_FLATTEN)
    if header.crypt_method:
        raise EncryptedImage("is encrypted", hint="decrypt it with qemu-img convert; a base must be readable by itself")
    if header.snapshots:
        raise InternalSnapshots("holds internal snapshots, which no VM made from it could see", hint=_FLATTEN)


def _check_features(header: Qcow2Header) -> None:
    if header.incompatible & (_DIRTY | _CORRUPT):
        raise UncleanImage("is marked as corrupt or not closed cleanly", hint="repair it: qemu-img check -r all IMAGE")
    if header.incompatible & ~_COMPRESSION_TYPE:
        raise UnknownFeatures("needs qcow2 features that are not accepted", hint=_FLATTEN)
    named = bool(header.incompatible & _COMPRESSION_TYPE)
    if header.compression not in _COMPRESSION_TYPES or named != bool(header.compression):
        raise UnknownFeatures("uses a compression other than zlib and zstd", hint=_FLATTEN)


def _check_geometry(header: Qcow2Header, file_size: int) -> None:
    if header.cluster_bits not in _CLUSTER_BITS:
        raise DamagedHeader("has an impossible cluster size", hint="fetch or copy it again")
    limit = header.cluster_size
    minimum = _V3_LENGTH if header.version == 3 else _V2.size
    if not minimum <= header.length <= limit or header.length % 8:
        raise DamagedHeader("has an impossible header length", hint="fetch or copy it again")
    if header.refcount_order > _MAX_REFCOUNT_ORDER:
        raise DamagedHeader("has an impossible refcount width", hint="fetch or copy it again")
    if header.virtual_size == 0 or header.l1_size < header.l1_needed:
        raise DamagedHeader("has a size that its tables do not cover", hint="fetch or copy it again")
    refcount_bytes = header.refcount_clusters * header.cluster_size
    if header.l1_size * 8 > _MAX_L1_BYTES or refcount_bytes > _MAX_REFCOUNT_TABLE_BYTES:
        raise OversizedTables("has tables larger than QEMU accepts", hint="make it again with qemu-img convert")
    for offset, length in ((header.l1_offset, header.l1_size * 8), (header.refcount_offset, refcount_bytes)):
        if not offset or offset % header.cluster_size or not length:
            raise DamagedHeader("has misplaced tables", hint="fetch or copy it again")
        if offset + length > file_size:
            raise TruncatedImage("ends before the tables that its header names", hint="fetch or copy it again")


def _check_extensions(header: Qcow2Header, head: bytes) -> None:
    position, end = header.length, header.cluster_size
    while position + _EXTENSION.size <= end:
        if position + _EXTENSION.size > len(head):
            raise TruncatedImage("ends within its qcow2 header", hint="fetch or copy it again")
        kind, length = _EXTENSION.unpack_from(head, position)
        if kind == _END:
            return
        _check_extension(kind)
        position += _EXTENSION.size + -(-length // 8) * 8
    if position > end:
        raise DamagedHeader("has a header that runs past its first cluster", hint="fetch or copy it again")


def _check_extension(kind: int) -> None:
    if kind == _BACKING_FORMAT:
        raise BackingFile("names the format of a backing file", hint=_FLATTEN)
    if kind == _DATA_FILE_NAME:
        raise ExternalDataFile("names an external data file", hint=_FLATTEN)
    if kind == _ENCRYPTION:
        raise EncryptedImage("is encrypted", hint="decrypt it with qemu-img convert")
    if kind != _FEATURE_NAMES:
        raise UnknownFeatures("has a header extension that is not accepted (such as bitmaps)", hint=_FLATTEN)


def check_l1_table(header: Qcow2Header, table: bytes, file_size: int) -> None:
    """Refuse an L1 table (`l1_size` entries) that points behind the end of the file."""
    for (entry,) in struct.iter_unpack(">Q", table):
        offset = entry & _L2_OFFSET_MASK
        if offset % header.cluster_size:
            raise DamagedHeader("has misplaced tables", hint="fetch or copy it again")
        if offset and offset + header.cluster_size > file_size:
            raise TruncatedImage("ends before the tables that its header names", hint="fetch or copy it again")

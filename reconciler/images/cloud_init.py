"""The NoCloud seed: a small ISO that a cloud image reads at its first boot."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from typing import Final

from reconciler.model.steps import SeedContent

LABEL: Final = "cidata"

_SECTOR: Final = 2048
_FIRST_DESCRIPTOR: Final = 16 * _SECTOR
_DESCRIPTOR_END: Final = 255
_DIRECTORY_DESCRIPTORS: Final = (1, 2)  # primary, and Joliet's
_ROOT_RECORD: Final = 156
_DESCRIPTOR_DATES: Final = (813, 830, 847, 864)  # creation, modification, expiration, effective
_RECORD_DATE: Final = 18
_RECORD_NAME_LENGTH: Final = 32
_RECORD_NAME: Final = 33
_TF_STAMPS: Final = 5

_SHORT_DATE: Final = bytes((100, 1, 1, 0, 0, 0, 0))  # 2000-01-01 00:00:00 UTC, years from 1900
_LONG_DATE: Final = b"2000010100000000\x00"


def seed_iso(content: SeedContent) -> bytes:
    """The seed as an ISO with Joliet and Rock Ridge, labelled `cidata`; the same bytes for the same content."""
    import pycdlib  # noqa: PLC0415  # 40 ms that only a new seed needs

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, joliet=3, rock_ridge="1.09")
    for name, text in _files(content).items():
        data = text.encode()
        iso_name = name.upper().replace("-", "_")
        iso.add_fp(
            io.BytesIO(data),
            len(data),
            f"/{iso_name}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=0o100400,
        )
    made = io.BytesIO()
    iso.write_fp(made)
    iso.close()
    return _with_fixed_dates(made.getvalue())


def _files(content: SeedContent) -> dict[str, str]:
    meta = {"instance-id": content.instance_id, "local-hostname": content.hostname}
    # A JSON string is a YAML string too; a line a key is what the simplest readers of meta-data understand.
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in meta.items())
    files = {"meta-data": lines, "user-data": content.user_data}
    if content.network_config is not None:
        files["network-config"] = content.network_config
    return files


def _with_fixed_dates(iso: bytes) -> bytes:
    """Replace the present time and zone, which pycdlib puts everywhere: a seed must not differ for that."""
    image = bytearray(iso)
    for descriptor in _descriptors(image):
        for offset in _DESCRIPTOR_DATES:
            image[descriptor + offset : descriptor + offset + len(_LONG_DATE)] = _LONG_DATE
        root = descriptor + _ROOT_RECORD
        _fix_record(image, root)
        extent, length = struct.unpack_from("<I4xI", image, root + 2)
        for record in _records(image, extent * _SECTOR, length):
            _fix_record(image, record)
    return bytes(image)


def _descriptors(image: bytearray) -> Iterator[int]:
    offset = _FIRST_DESCRIPTOR
    while image[offset] != _DESCRIPTOR_END:
        if image[offset] in _DIRECTORY_DESCRIPTORS:
            yield offset
        offset += _SECTOR


def _records(image: bytearray, start: int, length: int) -> Iterator[int]:
    """Offsets of the records of a directory; a record never crosses a sector."""
    for sector in range(start, start + length, _SECTOR):
        offset = sector
        while offset < sector + _SECTOR and image[offset]:
            yield offset
            offset += image[offset]


def _fix_record(image: bytearray, record: int) -> None:
    image[record + _RECORD_DATE : record + _RECORD_DATE + len(_SHORT_DATE)] = _SHORT_DATE
    name_length = image[record + _RECORD_NAME_LENGTH]
    system_use = record + _RECORD_NAME + name_length + (1 - name_length % 2)
    _fix_stamps(image, system_use, record + image[record])


def _fix_stamps(image: bytearray, start: int, end: int) -> None:
    """Rock Ridge keeps times of its own in TF entries, and what finds no room in a continuation area (CE)."""
    offset = start
    while offset + 4 <= end and image[offset + 2] >= 4:
        kind, length = image[offset : offset + 2], image[offset + 2]
        if kind == b"TF":
            stamps = (length - _TF_STAMPS) // len(_SHORT_DATE)
            image[offset + _TF_STAMPS : offset + length] = _SHORT_DATE * stamps
        if kind == b"CE":
            block, position, size = struct.unpack_from("<I4xI4xI", image, offset + 4)
            area = block * _SECTOR + position
            _fix_stamps(image, area, area + size)
        offset += length

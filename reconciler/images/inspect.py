"""Looks at an image before any program of QEMU does; the format is declared, never guessed."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

from msgspec import Struct

from reconciler.errors import UnsafeImage
from reconciler.images import qcow2_header
from reconciler.images.refusals import (
    AmbiguousFormat,
    CompressionBomb,
    EmptyImage,
    ForeignFormat,
    ImageTooLarge,
    ImageUnavailable,
    NotARegularFile,
    TruncatedImage,
    UnknownFeatures,
    WrongFormat,
)
from reconciler.model.quantities import approximate_size

ImageFormat = Literal["qcow2", "raw"]

RULES_VERSION: Final = 1
"""Grows whenever an image that was accepted would now be refused, so that remembered results are looked at again."""

_HEAD: Final = qcow2_header.MAX_CLUSTER
_SECTOR: Final = 512
_CHUNK: Final = 64 << 10
_MAX_EXPANSION: Final = 20_000
_NEVER_A_BOMB: Final = 64 << 30
_ACCEPTED: Final = frozenset({"qcow2", "raw"})
_RAW_MAY_LOOK_LIKE: Final = frozenset({"gpt"})  # what oslo calls any partition table

# Formats that QEMU opens and that oslo does not know, by what the file begins or ends with.
_BEGINNINGS: Final = (
    (b"COWD", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"WithoutFreeSpace", "parallels"),
    (b"WithouFreSpacExt", "parallels"),
    (b"Bochs Virtual HD Image", "bochs"),
    (b"#!/bin/sh\n#V2.0 Format", "cloop"),
)
_ENDINGS: Final = ((b"conectix", "vhd"), (b"koly", "dmg"))


class InspectedImage(Struct, frozen=True):
    """What was found; sizes in bytes."""

    format: ImageFormat
    virtual_size: int
    file_size: int


def inspect(path: Path, declared: ImageFormat, *, max_virtual_size: int, subject: str) -> InspectedImage:
    """Look at the image file as `declared`; `subject` (`Image/name`) begins every message.

    Reads the header, the tables that it names and the last sector, whatever the size of the file.
    Raises a subclass of UnsafeImage for what must not be used, ImageUnavailable where the file can't be read.
    """
    with open_regular(path, subject) as file:
        return inspect_file(file, declared, max_virtual_size=max_virtual_size, subject=subject)


def inspect_file(file: BinaryIO, declared: ImageFormat, *, max_virtual_size: int, subject: str) -> InspectedImage:
    """Look at an image file that is open already; as `inspect`."""
    try:
        return _inspect_open_file(file, declared, max_virtual_size)
    except UnsafeImage as error:
        raise type(error)(f"{subject}: the image {error.message}", hint=error.hint) from None
    except OSError as error:
        raise ImageUnavailable(f"{subject}: the image can't be read: {error.strerror}") from error


@contextmanager
def open_regular(path: Path, subject: str) -> Iterator[BinaryIO]:
    """Open a regular file for reading; anything else is refused and never blocks.

    Raises NotARegularFile or ImageUnavailable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ImageUnavailable(f"{subject}: can't read {path}: {error.strerror}", hint="check the path") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotARegularFile(f"{subject}: {path} is not a regular file", hint="name an image file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield file


def _inspect_open_file(file: BinaryIO, declared: ImageFormat, max_virtual_size: int) -> InspectedImage:
    file_size = os.fstat(file.fileno()).st_size
    if file_size == 0:
        raise EmptyImage("is empty", hint="fetch or copy it again")
    if file_size > max_virtual_size:
        raise ImageTooLarge(f"is larger than policy allows ({approximate_size(max_virtual_size)})")
    head = _read_at(file, 0, _HEAD)
    tail = _read_at(file, max(0, file_size - _SECTOR), _SECTOR)
    _check_declared(declared, _formats(head, tail, declared))
    if declared == "raw":
        return _inspected_raw(file_size)
    return _inspected_qcow2(file, head, file_size, max_virtual_size)


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    return os.pread(file.fileno(), length, offset)


def _formats(head: bytes, tail: bytes, declared: ImageFormat) -> frozenset[str]:
    found = {name for magic, name in _BEGINNINGS if head.startswith(magic)}
    found |= {name for magic, name in _ENDINGS if tail.startswith(magic)}
    if head.startswith(qcow2_header.MAGIC):
        found.add("qcow2")
    return frozenset(found | _formats_by_oslo(head, declared))


def _formats_by_oslo(head: bytes, declared: ImageFormat) -> set[str]:
    from oslo_utils.imageutils import format_inspector  # noqa: PLC0415  # 90 ms that most runs never need

    wrapper = format_inspector.InspectWrapper(io.BytesIO(head), expected_format="raw")
    try:
        while wrapper.read(_CHUNK):
            pass
        wrapper.close()
        return {str(match) for match in wrapper.formats or ()} - {"raw"}
    except Exception as error:  # a hostile file must not get past a parser by making it fail
        raise AmbiguousFormat(
            f"can't be told to be {declared}: its beginning confuses the inspection",
            hint="make it again with qemu-img convert",
        ) from error


def _check_declared(declared: ImageFormat, found: frozenset[str]) -> None:
    if declared == "raw":
        others = found - _RAW_MAY_LOOK_LIKE
        if others:
            raise _wrong(others)(
                f"is declared raw and carries the header of {_names(others)}",
                hint="declare the format that it has, or convert it with qemu-img convert",
            )
    elif declared not in found:
        looks_like = f" and looks like {_names(found)}" if found else ""
        raise _wrong(found)(
            f"is declared qcow2, has no qcow2 header{looks_like}", hint="declare the format that it has"
        )
    elif found != {declared}:
        raise AmbiguousFormat(
            f"is {_names(found)} at once", hint="fetch it from its publisher; images for distribution are one thing"
        )


def _wrong(found: frozenset[str]) -> type[WrongFormat]:
    return ForeignFormat if found - _ACCEPTED - _RAW_MAY_LOOK_LIKE else WrongFormat


def _names(formats: frozenset[str]) -> str:
    return " and ".join(sorted(formats))


def _inspected_raw(file_size: int) -> InspectedImage:
    if file_size % _SECTOR:
        raise TruncatedImage(
            "is not a whole number of 512-byte sectors, so it is cut off or not a disk", hint="fetch or copy it again"
        )
    return InspectedImage(format="raw", virtual_size=file_size, file_size=file_size)


def _inspected_qcow2(file: BinaryIO, head: bytes, file_size: int, max_virtual_size: int) -> InspectedImage:
    header = qcow2_header.parse(head)
    if header.virtual_size > max_virtual_size:
        raise ImageTooLarge(
            f"describes a disk larger than policy allows ({approximate_size(max_virtual_size)})",
            hint="raise maxImageSize in the controller's configuration if that is meant",
        )
    qcow2_header.check(header, head, file_size)
    if header.virtual_size > max(_NEVER_A_BOMB, file_size * _MAX_EXPANSION):
        raise CompressionBomb(
            f"is {approximate_size(file_size)} and claims to become {approximate_size(header.virtual_size)}",
            hint="make it with a smaller virtual size; a disk grows when a VM is made from it",
        )
    qcow2_header.check_l1_table(header, _read_at(file, header.l1_offset, header.l1_size * 8), file_size)
    _check_by_oslo(head)
    return InspectedImage(format="qcow2", virtual_size=header.virtual_size, file_size=file_size)


def _check_by_oslo(head: bytes) -> None:
    """A second opinion by other people's code."""
    from oslo_utils.imageutils import format_inspector  # noqa: PLC0415  # 90 ms that most runs never need

    inspector = format_inspector.QcowInspector()
    inspector.eat_chunk(head[:_SECTOR])
    inspector.finish()
    try:
        inspector.safety_check()
    except (format_inspector.SafetyCheckFailed, format_inspector.ImageFormatError) as error:
        raise UnknownFeatures(
            "is refused by the format inspection", hint="make it again with qemu-img convert"
        ) from error

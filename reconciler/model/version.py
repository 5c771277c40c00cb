"""Versions of an image that is captured from a VM: what they are called, and what their manifest says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct

from reconciler.model.resource import Name

Consistency = Literal["quiesced", "crash-consistent", "offline"]
"""Its guest's file systems stood still; it ran on, as if the power had gone; it was off."""

MANIFEST_FORM: Final = 1
LATEST: Final = "latest"
_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z")
_INSTANT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?Z")
_NAME: Final = re.compile(rf"([a-z0-9][a-z0-9-]{{0,62}})@({LATEST}|{_INSTANT.pattern})")


class VersionDisk(Struct, frozen=True):
    """One disk of a version; bytes."""

    name: str
    """As the VM's spec calls it."""
    volume: str
    virtual_size: int
    size: int
    """Of the file, as stored."""
    digest: str
    """`sha256:…` of the file as stored."""
    parent_volume: str | None = None
    """Volume that it holds only the difference to; None for a full one."""


class ImageVersion(Struct, frozen=True):
    """One point in time of the VM that an image is captured from."""

    image: str
    stamp: str
    """Such as `20261122t020000z`: the instant that it is named by, in UTC."""
    taken_at: float
    """When its guest stood still, or was copied; wall time in seconds."""
    vm: str
    vm_uuid: str
    pool: str
    host: str | None
    """Whose pool it is in; None where hosts share it."""
    generation: str
    """Of the specs that it was captured by."""
    spec_hash: str
    """Of the VM's spec as its domain was defined by."""
    consistency: Consistency
    disks: tuple[VersionDisk, ...]
    parent: str | None = None
    """Stamp of the version that its disks hold the difference to."""
    checkpoint: str = ""
    """Name of the checkpoint from which the next one can go on; empty where there is none."""

    @property
    def name(self) -> str:
        """`web-1-golden@2026-11-22T02:00Z`."""
        return f"{self.image}@{instant_of(self.stamp)}"

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(disk.size for disk in self.disks)

    def disk(self, name: str) -> VersionDisk | None:
        return next((disk for disk in self.disks if disk.name == name), None)


class Manifest(Struct, frozen=True):
    """What is written last into a pool: without it there is no version."""

    version: int
    content: ImageVersion


class VersionName(Struct, frozen=True):
    """`web-1-golden@latest`, or with an instant."""

    image: Name
    stamp: str | None
    """None for the latest."""


def manifest_of(version: ImageVersion) -> bytes:
    """What the manifest volume holds; the same bytes for the same version."""
    return msgspec.json.encode(Manifest(MANIFEST_FORM, version))


def read_manifest(content: bytes) -> ImageVersion | None:
    """The version that a manifest volume tells of; None where it is none, or of a form that is not known."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, ValueError):
        return None
    return manifest.content if manifest.version == MANIFEST_FORM else None


def stamp_of(at: float) -> str:
    """The stamp of an instant, to the second; wall time in seconds."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y%m%dt%H%M%Sz")


def seconds_of(stamp: str) -> float:
    """The instant of a stamp; wall time in seconds. Raises ValueError."""
    return datetime.strptime(stamp, "%Y%m%dt%H%M%Sz").replace(tzinfo=UTC).timestamp()


def instant_of(stamp: str) -> str:
    """As people read it: `2026-11-22T02:00Z`, with seconds where they are not 00."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return stamp
    year, month, day, hour, minute, second = found.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}{'' if second == '00' else f':{second}'}Z"


def parse_instant(text: str) -> str:
    """The stamp of `2026-11-22T02:00Z`; raises ValueError."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an instant; write it in UTC, as 2026-11-22T02:00Z")
    year, month, day, hour, minute, second = found.groups()
    stamp = f"{year}{month}{day}t{hour}{minute}{second or '00'}z"
    seconds_of(stamp)
    return stamp


def parse_version_name(text: str) -> VersionName:
    """Image and stamp of `web-1-golden@2026-11-22T02:00Z` or `web-1-golden@latest`; raises ValueError."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} names no version; write NAME@latest or NAME@2026-11-22T02:00Z")
    return VersionName(found[1], None if found[2] == LATEST else parse_instant(found[2]))

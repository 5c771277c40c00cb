"""Disks that are brought back to what they were: what is done for that, and how what was done is known by."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from reconciler.model.domain import DomainConfig


def done_after(last: str, value: str) -> str:
    """What the mark of a domain says of a restore, by the `value` of its spec, where it said `last` before."""
    return f"{number_of(last) + 1}-{value}"


def number_of(done: str) -> int:
    """The how manieth restore of the VM it was; 0 for none. A read that is late is told by it."""
    number = done.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def value_of(done: str) -> str:
    """The value of the spec that was done; empty for none."""
    return done.partition("-")[2]


class ChainLink(Struct, frozen=True):
    """One file of a version's disk, as it is on record; bytes."""

    volume: str
    size: int
    digest: str


class VersionSource(Struct, frozen=True):
    """A disk of a version: `chain` is the file that holds it, then those that it is the difference to."""

    name: str
    """`web-1-golden@2026-11-22T02:00Z`."""
    pool: str
    host: str
    """Through which the pool is read."""
    chain: tuple[ChainLink, ...]


class RestoreDisk(Struct, frozen=True):
    """Make a volume that holds what a disk of a version does, on its own; capacity in bytes, at least.

    Expects the version's files to stand on one another exactly as on record, and no volume of that name unless
    `replace_partial`.
    """

    pool: str
    volume: str
    format: Literal["qcow2", "raw"]
    capacity: int
    disk: str
    source: VersionSource
    streamed: bool
    """The version is in another pool or on another host: its content goes through the controller."""
    value: str = ""
    """Of the restore that it is for: it counts as unfinished until the VM has it. Empty for the disk of a new VM."""
    replace_partial: bool = False


class DiskSwap(Struct, frozen=True):
    """A disk that gets another volume of the same pool."""

    disk: str
    pool: str
    host: str
    """Through which the pool's volumes are handled."""
    old: str
    new: str


class SwitchDisks(Struct, frozen=True):
    """Define a VM that is off with other volumes for some of its disks; the old ones are kept as a tombstone.

    Expects it off, its inactive XML unchanged, and the new volumes whole and used by nobody.
    """

    config: DomainConfig
    expect_fingerprint: str
    done: str
    """The restore, as in the mark of `config`."""
    source: str
    """What the new volumes are, for people."""
    swaps: tuple[DiskSwap, ...]
    retention: float
    """Seconds that the old volumes are kept."""
    starts: bool = False
    """It is to run again afterwards."""
    made: bool = True
    """The new volumes were made for it; else they were its own before."""

"""How much of its disks and networks a VM may use."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from reconciler.model.quantities import Rate, Size
from reconciler.model.resource import Model

_LARGEST = 1 << 50
SomeRate = Annotated[Rate, Field(ge=1, le=_LARGEST)]
SomeSize = Annotated[Size, Field(ge=1, le=_LARGEST)]
Operations = Annotated[int, Field(ge=1, le=1_000_000_000)]


class IoTune(Model):
    """I/O limits of a disk: of reading and writing together, or of each."""

    total_bytes: SomeRate | None = None
    """Reading and writing together; unlimited when absent."""
    read_bytes: SomeRate | None = None
    """Reading; not beside `totalBytes`."""
    write_bytes: SomeRate | None = None
    """Writing; not beside `totalBytes`."""
    total_iops: Operations | None = None
    """Operations a second, reads and writes together; unlimited when absent."""
    read_iops: Operations | None = None
    """Reads a second; not beside `totalIops`."""
    write_iops: Operations | None = None
    """Writes a second; not beside `totalIops`."""

    @model_validator(mode="after")
    def _one_way_each(self) -> IoTune:
        if self.total_bytes and (self.read_bytes or self.write_bytes):
            raise ValueError("totalBytes is for reading and writing; leave it, or readBytes and writeBytes, out")
        if self.total_iops and (self.read_iops or self.write_iops):
            raise ValueError("totalIops is for reads and writes; leave it, or readIops and writeIops, out")
        if not any(self.model_dump().values()):
            raise ValueError("it limits nothing; write a limit, such as totalBytes: 50MiB/s, or leave ioTune out")
        return self


class Traffic(Model):
    """A limit of one direction."""

    average: SomeRate
    """Rate that it is held to."""
    peak: SomeRate | None = None
    """Rate at which a burst is sent; as fast as it goes when absent."""
    burst: SomeSize | None = None
    """How much may go at the peak rate at once."""

    @model_validator(mode="after")
    def _peak_above_average(self) -> Traffic:
        if self.peak is not None and self.peak < self.average:
            raise ValueError("peak is less than average")
        return self


class Bandwidth(Model):
    """Limits of a network card, each direction by itself, as the guest sees it."""

    inbound: Traffic | None = None
    """What the guest receives; unlimited when absent."""
    outbound: Traffic | None = None
    """What the guest sends; unlimited when absent."""

    @model_validator(mode="after")
    def _limits_something(self) -> Bandwidth:
        if self.inbound is None and self.outbound is None:
            raise ValueError("it limits nothing; write inbound or outbound, such as inbound: {average: 10MiB/s}")
        return self

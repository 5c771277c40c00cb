"""StoragePool: where volumes live."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from reconciler.model.resource import HostSelector, Line, Model, Resource


def _absolute_path(value: str) -> str:
    if value.startswith("/") and "/../" not in f"{value}/" and "//" not in value:
        return value
    raise ValueError(f"{value!r} is not an absolute path without '..'")


AbsolutePath = Annotated[Line, AfterValidator(_absolute_path)]


class PoolSource(Model):
    """Where a `netfs` or `logical` pool comes from."""

    host: Line | None = None
    """NFS server of a `netfs` pool."""
    dir: AbsolutePath | None = None
    """Exported directory of a `netfs` pool."""
    volume_group: Line | None = None
    """Volume group of a `logical` pool; the pool's own name when absent."""


class StoragePoolSpec(Model):
    """What the pool is made of and where."""

    type: Literal["dir", "netfs", "logical", "existing"]
    """`existing` uses a pool of that name as it is on each host, and never changes it."""
    target: AbsolutePath | None = None
    """Directory on the host; required for `dir` and `netfs`."""
    source: PoolSource = PoolSource()
    """Where a `netfs` or `logical` pool comes from."""
    shared: bool = False
    """The same content is seen from every host of the pool."""
    hosts: HostSelector = HostSelector()
    """Hosts that have the pool; every host when absent."""

    @model_validator(mode="after")
    def _complete(self) -> StoragePoolSpec:
        if self.type in ("dir", "netfs") and self.target is None:
            raise ValueError(f"type {self.type} needs a target directory, such as target: /srv/vms")
        if self.type == "netfs" and not (self.source.host and self.source.dir):
            raise ValueError("type netfs needs source: {host: SERVER, dir: /export}")
        return self


class StoragePool(Resource):
    """A libvirt storage pool on some or all hosts."""

    kind: Literal["StoragePool"]
    spec: StoragePoolSpec

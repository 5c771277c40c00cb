"""Fleet-wide policy out of the controller's configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from reconciler.model.quantities import Duration
from reconciler.model.resource import Model, Name


def _absolute(value: str) -> str:
    if value.startswith("/"):
        return value
    raise ValueError(f"{value!r} is not an absolute path")


def _listed(value: object) -> object:
    """A list, or as one text with colons, the way environment variables hold paths."""
    if isinstance(value, str):
        return tuple(part for part in value.split(":") if part)
    return tuple(value) if isinstance(value, list) else value


Folders = Annotated[tuple[Annotated[str, AfterValidator(_absolute)], ...], BeforeValidator(_listed)]


class Limits(Model):
    """How much is done at once."""

    actions_per_fleet: int = Field(default=64, ge=1)
    """Actions in flight at once in the fleet."""
    actions_per_host: int = Field(default=4, ge=1)
    """Actions in flight at once on one host."""
    starts_per_host: int = Field(default=4, ge=1)
    """VMs started at once on one host."""


class Policy(Model):
    """Decisions that hold for the whole fleet."""

    fleet: Name = "default"
    """Name of the fleet: part of every UUID, MAC and volume name, so never changed later."""
    shutdown_timeout: Duration = 120.0
    """How long a guest may take to shut down before it is forced off, where forcing is allowed."""
    allow_http: bool = False
    """Whether images may be fetched over plain http (their checksum is required either way)."""
    allow_private_addresses: bool = False
    """Whether images may be fetched from loopback, link-local and private addresses."""
    image_directories: Folders = ()
    """Folders on the controller that images named by `path` must be in, links followed; anywhere where none is named.
    Name some where people who may not read the controller's files write specs."""
    max_image_size: int = Field(default=1 << 40, ge=1 << 20)
    """Largest image that is fetched or inspected, in bytes."""
    limits: Limits = Limits()
    """How much is done at once."""

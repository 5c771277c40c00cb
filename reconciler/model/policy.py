"""Fleet-wide policy out of the controller's configuration."""

from __future__ import annotations

from pydantic import Field

from reconciler.model.quantities import Duration
from reconciler.model.resource import Model, Name


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
    max_image_size: int = Field(default=1 << 40, ge=1 << 20)
    """Largest image that is fetched or inspected, in bytes."""
    limits: Limits = Limits()
    """How much is done at once."""

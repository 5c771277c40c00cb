"""What was observed. A missing observation is never absence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct, field

from reconciler.model.abilities import GuestCpu, HostAbilities
from reconciler.model.domain import ACTIVE_STATES, DomainConfig, DomainState

_OF_MIGRATIONS: Final = frozenset({"migration", "starting-up", "postcopy"})
"""libvirt's reasons for a pause that neither the guest nor a person asked for."""
_CUT: Final = "postcopy-failed"


class HostFacts(Struct, frozen=True):
    """What a host is; sizes in bytes."""

    uuid: str
    hostname: str
    memory: int
    cpus: int
    arch: str
    domain_types: tuple[str, ...]
    """Subset of `kvm`, `qemu`, `test`; empty where the host was not asked."""
    libvirt_version: int


class ObservedDomain(Struct, frozen=True):
    """One domain: its persistent configuration, and the live one while it runs."""

    name: str
    uuid: str
    state: DomainState
    persistent: bool
    config: DomainConfig
    """From the inactive XML: what the next boot will be."""
    live: DomainConfig | None
    """From the live XML; None while the domain is off."""
    fingerprint: str
    """Hash of the inactive XML: changes whenever anything of it does, also what we don't own."""
    reason: str = ""
    """libvirt's reason for the state, such as `shutdown`, `crashed`, `ioerror`, `user`; empty if not known."""
    restricted: tuple[str, ...] = ()
    """What the XML holds that a spec can't express (host devices, 9p ...), in libvirt's terms."""
    cpu: GuestCpu | None = None
    """The CPU that the running guest has, `host-model` resolved; None while it is off, or where it is not known."""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE_STATES

    @property
    def running_config(self) -> DomainConfig:
        """What it is now: its live configuration, or its definition while it is off."""
        return self.live or self.config

    @property
    def is_on_its_way(self) -> bool:
        """Whether it is one half of a migration: it stands still for that, or has not all of its memory yet."""
        return self.is_half or (self.state == "paused" and self.reason in _OF_MIGRATIONS)

    @property
    def is_half(self) -> bool:
        """Whether some of its guest's memory is on another host: neither half goes on without the other."""
        return self.active and self.reason in ("postcopy", _CUT)

    @property
    def is_broken(self) -> bool:
        """Whether it is half of a guest whose post-copy was cut: it goes on once the other half is reached again."""
        return self.active and self.reason == _CUT


class DomainText(Struct, frozen=True):
    """A domain in libvirt's own words."""

    xml: str
    """Its definition, without secrets."""
    snapshots: tuple[str, ...]
    """Names, sorted."""


class ObservedVolume(Struct, frozen=True):
    """One volume; sizes in bytes."""

    name: str
    path: str
    format: str
    capacity: int
    allocation: int
    backing_path: str | None = None


class ObservedPool(Struct, frozen=True):
    """One storage pool as one host sees it; sizes in bytes, 0 while inactive."""

    name: str
    uuid: str
    type: str
    target: str
    active: bool
    autostart: bool
    capacity: int
    available: int
    volumes: Mapping[str, ObservedVolume] | None
    """By name; None where they were not read (inactive, or another host was asked for a shared pool)."""


class ObservedNetwork(Struct, frozen=True):
    """One libvirt network."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    mode: Literal["nat", "isolated", "routed", "bridge", "other"]
    bridge: str | None
    subnet: str | None
    dhcp: bool


class HostInventory(Struct, frozen=True):
    """One host that was read. `observed_at` is wall time in seconds."""

    name: str
    observed_at: float
    facts: HostFacts
    domains: Mapping[str, ObservedDomain]
    """By name."""
    pools: Mapping[str, ObservedPool]
    networks: Mapping[str, ObservedNetwork]
    abilities: HostAbilities | None = None
    """What it can do for guests that come from elsewhere; None where nothing asks for that, or it did not answer."""
    abilities_error: str = ""
    """Why it did not answer that; empty where it did, was not asked, or has yet to."""

    def unsaid(self, what: str) -> str:
        """`it has not said WHAT`, with the reason where one is known."""
        return f"it has not said {what}{f': {self.abilities_error}' if self.abilities_error else ''}"


class UnreadHost(Struct, frozen=True):
    """One host that could not be read: nothing is known of what it runs."""

    name: str
    error: str
    hint: str
    last_seen: float | None
    """Wall time of the last successful read, if this process had one."""


class ImageFacts(Struct, frozen=True):
    """What the controller knows of an image without touching a host; sizes in bytes."""

    name: str
    digest: str | None
    """`sha256:…`; None where the file could not be read."""
    cached: bool
    """The verified file is on the controller, so it can be uploaded."""
    virtual_size: int | None
    """None until the file has been inspected."""
    error: str | None = None
    """Why the image can't be used; None if it can."""
    path: str | None = None
    """The file on the controller once `cached`."""


class Inventory(Struct, frozen=True):
    """Everything observed for one pass."""

    hosts: Mapping[str, HostInventory] = field(default_factory=dict)
    unread: Mapping[str, UnreadHost] = field(default_factory=dict)
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    baselines: Mapping[str, str] = field(default_factory=dict)
    """By domain type: the CPU that all hosts have in common (`fleet_cpu.cpu_text`), where somebody asks for it."""

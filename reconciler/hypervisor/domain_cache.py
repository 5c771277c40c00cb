"""Observed domains, remembered by the hash of their XML so that only what changed is parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.hypervisor.domain_parse import parse, parse_live
from reconciler.model.abilities import GuestCpu
from reconciler.model.domain import DomainConfig, DomainState
from reconciler.model.inventory import ObservedDomain


class DomainReading(Struct, frozen=True):
    """What libvirt said of one domain; `live_xml` is None while it is off."""

    name: str
    uuid: str
    state: DomainState
    reason: str
    persistent: bool
    autostart: bool
    inactive_xml: str
    live_xml: str | None


class _Known(Struct, frozen=True):
    live_fingerprint: str | None
    domain: ObservedDomain


class DomainCache:
    """As many entries as the host has domains."""

    def __init__(self) -> None:
        self._known: Final[dict[str, _Known]] = {}
        self._cpus: Final[dict[GuestCpu, GuestCpu]] = {}

    def observed(self, reading: DomainReading) -> ObservedDomain:
        """The domain; the very object of the last reading where nothing of it changed."""
        fingerprint = _digest(reading.inactive_xml)
        live_fingerprint = None if reading.live_xml is None else _digest(reading.live_xml)
        known = self._known.get(reading.uuid)
        config_is_known = known is not None and known.domain.fingerprint == fingerprint
        if known is not None and config_is_known and known.live_fingerprint == live_fingerprint:
            domain = known.domain
            if _is_current(domain, reading):
                return domain
            config = replace(domain.config, autostart=reading.autostart)
            live = None if domain.live is None else replace(domain.live, autostart=reading.autostart)
            domain = replace(
                domain,
                state=reading.state,
                reason=reading.reason,
                persistent=reading.persistent,
                config=config,
                live=config if live == config else live,
            )
        else:
            domain = self._parsed(reading, fingerprint)
        self._known[reading.uuid] = _Known(live_fingerprint, domain)
        return domain

    def _parsed(self, reading: DomainReading, fingerprint: str) -> ObservedDomain:
        inactive = parse(reading.inactive_xml, autostart=reading.autostart)
        live, cpu = None, None
        if reading.live_xml is not None:
            live, cpu = parse_live(reading.live_xml, autostart=reading.autostart)
            live = _as_asked_for(live, inactive.config)
            # Most guests of a fleet have one of a few CPUs.
            cpu = None if cpu is None else self._cpus.setdefault(cpu, cpu)
            # Mostly they are equal: kept once, a large fleet takes half the memory.
            live = inactive.config if live == inactive.config else live
        return ObservedDomain(
            name=reading.name,
            uuid=reading.uuid,
            state=reading.state,
            reason=reading.reason,
            persistent=reading.persistent,
            config=inactive.config,
            live=live,
            fingerprint=fingerprint,
            restricted=inactive.restricted,
            cpu=cpu,
        )

    def keep_only(self, uuids: Iterable[str]) -> None:
        """Forget every domain that is not among `uuids`."""
        for uuid in self._known.keys() - set(uuids):
            self._known.pop(uuid, None)

    def __len__(self) -> int:
        return len(self._known)


def _as_asked_for(live: DomainConfig, inactive: DomainConfig) -> DomainConfig:
    """The live configuration with the CPU model that was asked for when the guest booted.

    While a guest runs, `host-model` reads as the model and features that it came to. The mark remembers what was asked
    for; of a guest without, nothing is held against it.
    """
    asked = (live.mark and live.mark.cpu_model) or inactive.cpu_model
    return live if asked == live.cpu_model else replace(live, cpu_model=asked)


def _is_current(domain: ObservedDomain, reading: DomainReading) -> bool:
    return (
        (domain.state, domain.reason) == (reading.state, reading.reason)
        and domain.config.autostart == reading.autostart
        and domain.persistent == reading.persistent
        and domain.name == reading.name
    )


def _digest(xml: str) -> str:
    return hashlib.sha256(xml.encode()).hexdigest()

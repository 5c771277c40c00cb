"""Reading a host: everything at once, pipelined, parsing only what changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from reconciler.clock import Clock
from reconciler.errors import HostError
from reconciler.hypervisor import libvirt_binding as lv
from reconciler.hypervisor.connection import ConnectionLost, HostConnection
from reconciler.hypervisor.domain_cache import DomainCache, DomainReading
from reconciler.hypervisor.interface import DomainSummary
from reconciler.hypervisor.libvirt_errors import (
    INVALID_ARG,
    NO_DOMAIN,
    NO_NETWORK,
    NO_STORAGE_POOL,
    NO_STORAGE_VOL,
)
from reconciler.hypervisor.libvirt_values import read_facts, state_name, state_reason
from reconciler.hypervisor.network_xml import parse_network
from reconciler.hypervisor.pool_xml import parse_pool
from reconciler.hypervisor.turnstile import Turnstile
from reconciler.hypervisor.volume_xml import parse_volume
from reconciler.model.domain import ACTIVE_STATES, DomainState
from reconciler.model.inventory import (
    HostFacts,
    HostInventory,
    ObservedDomain,
    ObservedNetwork,
    ObservedPool,
    ObservedVolume,
)

T = TypeVar("T")
Listed = tuple[list[Any], frozenset[str], frozenset[str]]
"""Pools or networks, and the names of those that are active and autostarted."""
_GONE: Final = (NO_DOMAIN, NO_NETWORK, NO_STORAGE_POOL, NO_STORAGE_VOL)


class HostReader:
    """Reads one host; keeps what it parsed and what the host is."""

    def __init__(self, connection: HostConnection, clock: Clock, turnstile: Turnstile) -> None:
        self._connection: Final = connection
        self._clock: Final = clock
        self._turnstile: Final = turnstile
        self._domains: Final = DomainCache()
        self._networks: Final[dict[str, tuple[str, ObservedNetwork]]] = {}
        self._facts: tuple[lv.Connection, HostFacts] | None = None

    def read(self, pools_with_volumes: frozenset[str], *, refresh: bool) -> HostInventory:
        """The whole host; done once more where the connection turned out to be lost."""
        try:
            return self._read(pools_with_volumes, refresh=refresh)
        except ConnectionLost:
            return self._read(pools_with_volumes, refresh=refresh)

    def _read(self, pools_with_volumes: frozenset[str], *, refresh: bool) -> HostInventory:
        connection = self._connection.handle()
        with self._turnstile.turn():
            return self._read_connected(connection, pools_with_volumes, refresh=refresh)

    def _read_connected(
        self, connection: lv.Connection, pools_with_volumes: frozenset[str], *, refresh: bool
    ) -> HostInventory:
        now = self._clock.now()
        facts, states, transient, autostarted, pools, networks = self._together(
            partial(self._host_facts, connection),
            lambda: connection.getAllDomainStats(lv.DOMAIN_STATS_STATE),
            lambda: _uuids(connection.listAllDomains(lv.LIST_DOMAINS_TRANSIENT)),
            lambda: _uuids(connection.listAllDomains(lv.LIST_DOMAINS_AUTOSTART)),
            partial(_list_pools, connection),
            partial(_list_networks, connection),
        )
        wanted = [
            partial(_read_domain, domain, _state(stats["state.state"], stats["state.reason"]), transient, autostarted)
            for domain, stats in states
        ]
        observed = {
            domain.name: domain
            for reading in self._connection.map(_unless_gone, wanted)
            if reading is not None
            for domain in [self._domains.observed(reading)]
        }
        self._domains.keep_only(domain.uuid for domain in observed.values())
        return HostInventory(
            name=self._connection.name,
            observed_at=now,
            facts=facts,
            domains=observed,
            pools=self._read_pools(pools, pools_with_volumes, refresh=refresh),
            networks=self._read_networks(networks),
        )

    def sweep(self) -> tuple[DomainSummary, ...]:
        def work(connection: lv.Connection) -> tuple[DomainSummary, ...]:
            transient = _uuids(connection.listAllDomains(lv.LIST_DOMAINS_TRANSIENT))
            return tuple(
                DomainSummary(
                    domain.name(), uuid, *_state(stats["state.state"], stats["state.reason"]), uuid not in transient
                )
                for domain, stats in connection.getAllDomainStats(lv.DOMAIN_STATS_STATE)
                for uuid in [domain.UUIDString()]
            )

        return self._connection.read(work)

    def domain(self, domain: Any) -> ObservedDomain:
        """One domain that was looked up; for a thread of the host."""
        state = _state(*domain.state()[:2])
        transient = frozenset() if domain.isPersistent() else frozenset({domain.UUIDString()})
        autostarted = frozenset({domain.UUIDString()}) if domain.autostart() else frozenset()
        return self._domains.observed(_read_domain(domain, state, transient, autostarted))

    def _together(self, *calls: Callable[[], Any]) -> list[Any]:
        """The results of several calls that don't depend on each other."""
        return self._connection.map(lambda call: call(), calls)

    def _host_facts(self, connection: lv.Connection) -> HostFacts:
        """What the host is, asked once a connection."""
        if self._facts is None or self._facts[0] is not connection:
            self._facts = (connection, read_facts(connection))
        return self._facts[1]

    # -- pools and networks ----------------------------------------------------------------------------------------
    def _read_pools(self, listed: Listed, wanted: frozenset[str], *, refresh: bool) -> dict[str, ObservedPool]:
        pools, active, autostarted = listed
        found: dict[str, ObservedPool] = {}
        for pool in pools:
            volumes = None
            if pool.name() in wanted and pool.name() in active:
                if refresh:
                    # A pool that is busy can't look at its storage: then what libvirt knows of it has to do.
                    with suppress(HostError):
                        self._connection.call(partial(_refresh, pool), f"StoragePool/{pool.name()}", pace="slow")
                volumes = self._read_volumes(pool)
            xml = self._connection.map(_unless_gone, [pool.XMLDesc])[0]
            if xml is not None:
                name = pool.name()
                found[name] = parse_pool(xml, active=name in active, autostart=name in autostarted, volumes=volumes)
        return found

    def _read_volumes(self, pool: Any) -> dict[str, ObservedVolume] | None:
        """Every volume of the pool by name; None where the pool went away meanwhile."""
        listed = self._connection.map(_unless_gone, [pool.listAllVolumes])[0]
        if listed is None:
            return None
        texts = self._connection.map(_unless_gone, [volume.XMLDesc for volume in listed])
        volumes = (parse_volume(xml) for xml in texts if xml is not None)
        return {volume.name: volume for volume in volumes}

    def pool(self, pool: Any, *, refresh: bool) -> ObservedPool:
        """One pool with its volumes; for a thread of the host."""
        active, volumes = bool(pool.isActive()), None
        if active:
            if refresh:
                pool.refresh()
            texts = (_unless_gone(volume.XMLDesc) for volume in pool.listAllVolumes())
            volumes = {volume.name: volume for xml in texts if xml is not None for volume in [parse_volume(xml)]}
        return parse_pool(pool.XMLDesc(), active=active, autostart=bool(pool.autostart()), volumes=volumes)

    def _read_networks(self, listed: Listed) -> dict[str, ObservedNetwork]:
        networks, active, autostarted = listed
        texts = self._connection.map(_unless_gone, [partial(_network_xml, network) for network in networks])
        found: dict[str, ObservedNetwork] = {}
        for network, xml in zip(networks, texts, strict=True):
            if xml is not None:
                name = network.name()
                found[name] = self._network(name, xml, active=name in active, autostart=name in autostarted)
        for name in self._networks.keys() - found.keys():
            self._networks.pop(name, None)
        return found

    def _network(self, name: str, xml: str, *, active: bool, autostart: bool) -> ObservedNetwork:
        fingerprint = f"{hashlib.sha256(xml.encode()).hexdigest()} {active} {autostart}"
        known = self._networks.get(name)
        if known is None or known[0] != fingerprint:
            known = (fingerprint, parse_network(xml, active=active, autostart=autostart))
            self._networks[name] = known
        return known[1]


def _state(state: int, reason: int) -> tuple[DomainState, str]:
    name = state_name(state)
    return name, state_reason(name, reason)


def _read_domain(
    domain: Any, state_and_reason: tuple[DomainState, str], transient: frozenset[str], autostarted: frozenset[str]
) -> DomainReading:
    """What libvirt says of one domain, its state known already."""
    uuid = domain.UUIDString()
    state, reason = state_and_reason
    return DomainReading(
        name=domain.name(),
        uuid=uuid,
        state=state,
        reason=reason,
        persistent=uuid not in transient,
        autostart=uuid in autostarted,
        inactive_xml=domain.XMLDesc(lv.DOMAIN_XML_INACTIVE),
        live_xml=domain.XMLDesc(0) if state in ACTIVE_STATES else None,
    )


def _network_xml(network: Any) -> str:
    """The persistent network; libvirt's test driver has that one only, and does not know the flag."""
    try:
        return str(network.XMLDesc(lv.NETWORK_XML_INACTIVE))
    except lv.LibvirtError as error:
        if error.get_error_code() != INVALID_ARG:
            raise
        return str(network.XMLDesc(0))


def _refresh(pool: Any, _: lv.Connection) -> None:
    pool.refresh(0)


def _unless_gone(work: Callable[[], T]) -> T | None:
    """What `work` returns, or None where its object went away meanwhile."""
    try:
        return work()
    except lv.LibvirtError as error:
        if error.get_error_code() in _GONE:
            return None
        raise


def _uuids(domains: Iterable[Any]) -> frozenset[str]:
    return frozenset(domain.UUIDString() for domain in domains)


def _names(things: Iterable[Any]) -> frozenset[str]:
    return frozenset(thing.name() for thing in things)


def _list_pools(connection: lv.Connection) -> Listed:
    """Pools, and the names of those that are active and autostarted."""
    pools = connection.listAllStoragePools(0)
    if not pools:
        return pools, frozenset(), frozenset()
    active, autostarted = (connection.listAllStoragePools(f) for f in (lv.LIST_POOLS_ACTIVE, lv.LIST_POOLS_AUTOSTART))
    return pools, _names(active), _names(autostarted)


def _list_networks(connection: lv.Connection) -> Listed:
    """Networks, and the names of those that are active and autostarted."""
    networks = connection.listAllNetworks(0)
    if not networks:
        return networks, frozenset(), frozenset()
    active, autostarted = (connection.listAllNetworks(f) for f in (lv.LIST_NETWORKS_ACTIVE, lv.LIST_NETWORKS_AUTOSTART))
    return networks, _names(active), _names(autostarted)

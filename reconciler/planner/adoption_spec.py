"""The spec of a domain that is there: one whose taking over changes nothing, or what stands in the way of that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict
from pydantic import ValidationError

from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig
from reconciler.model.host import Host
from reconciler.model.inventory import HostInventory, ObservedDomain, ObservedPool
from reconciler.model.quantities import format_rate, format_size
from reconciler.model.resource import API_VERSION
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.adoption import HARMLESS
from reconciler.planner.pools import BLOCK_TYPES
from reconciler.planner.vm_diff import diff
from reconciler.planner.vm_domain import CONSOLE_LOG, HYPERVISOR_DEFAULT, PoolOnHost, desired_domain

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
Document = dict[str, Any]


class AdoptionSpec(Struct, frozen=True):
    """The spec as a document, and what it rests on; `obstacles` say why the domain can't be taken over by it."""

    document: Document
    pools: tuple[str, ...]
    networks: tuple[str, ...]
    obstacles: tuple[str, ...]


def adoption_spec(fleet: str, domain: ObservedDomain, host: Host, seen: HostInventory) -> AdoptionSpec:
    """The spec of `domain` on `host`, whose pools were `seen` with their volumes."""
    config = domain.config
    places = {disk.path: _place(disk, seen.pools) for disk in config.disks}
    obstacles = [*_of_the_domain(domain, host), *_of_disks(config, places, host)]
    obstacles += [
        f"card {nic.mac} is of type {nic.network.partition(':')[0]}, which specs don't have" for nic in _odd(config)
    ]
    document = _document(domain, host.name, places)
    if not obstacles:
        obstacles += _differences(fleet, document, domain, host, seen)
    return AdoptionSpec(
        document,
        tuple(sorted({place[0] for place in places.values() if place is not None})),
        tuple(sorted({nic.network for nic in config.nics if ":" not in nic.network})),
        tuple(obstacles),
    )


def document_of(kind: str, name: str, spec: Document) -> Document:
    """A spec in its envelope."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _of_the_domain(domain: ObservedDomain, host: Host) -> Iterator[str]:
    if not _NAME.fullmatch(domain.name):
        fitting = re.sub(r"[^a-z0-9]+", "-", domain.name.lower()).strip("-") or "vm"
        yield (
            f"its name {domain.name} is none that a VM can have; once it is off: virsh -c {host.spec.uri} domrename"
            f" {quote(domain.name)} {fitting}"
        )
    if not domain.persistent:
        yield "it is transient; define it first (virsh dumpxml, virsh define)"


def _of_disks(config: DomainConfig, places: Mapping[str, tuple[str, str] | None], host: Host) -> Iterator[str]:
    virsh = f"virsh -c {host.spec.uri}"
    for disk in config.disks:
        folder, _, name = disk.path.rpartition("/")
        if disk.format not in ("qcow2", "raw"):
            yield f"disk {disk.target} is of format {disk.format}; specs have qcow2 and raw"
        elif places[disk.path] is None and disk.path.startswith("/") and not disk.block_device:
            yield (
                f"disk {disk.target} ({disk.path}) is a volume of no active pool; give its folder one:"
                f" {virsh} pool-define-as {re.sub('[^a-z0-9]+', '-', folder.lower()).strip('-')} dir --target {folder},"
                " then pool-start and pool-autostart"
            )
        elif places[disk.path] is None:
            yield f"disk {disk.target} ({disk.path or name}) is in no pool, and specs have no paths of hosts"


def _odd(config: DomainConfig) -> Iterator[NicConfig]:
    yield from (nic for nic in config.nics if ":" in nic.network and not nic.network.startswith("bridge:"))


def _place(disk: DiskConfig, pools: Mapping[str, ObservedPool]) -> tuple[str, str] | None:
    """Pool and volume of a disk: the path as the planner will put it together again."""
    folder, _, name = disk.path.rpartition("/")
    for pool in sorted(pools):
        is_there = pools[pool].target.rstrip("/") == folder and name in (pools[pool].volumes or {})
        if is_there and _NAME.fullmatch(pool):
            return pool, name
    return None


def _document(domain: ObservedDomain, host: str, places: Mapping[str, tuple[str, str] | None]) -> Document:
    config = domain.config
    is_kept_on = config.autostart and domain.active
    cpu: Document = {"count": config.vcpus, "model": config.cpu_model or HYPERVISOR_DEFAULT}
    if config.max_vcpus != config.vcpus:
        cpu["max"] = config.max_vcpus
    spec: Document = {
        **({"title": config.title} if config.title else {}),
        **({"description": config.description} if config.description else {}),
        "runStrategy": "Always" if is_kept_on else "Manual",
        "domainType": config.domain_type,
        "machine": config.machine,
        "firmware": config.firmware,
        "cpu": cpu,
        "memory": format_size(config.memory),
        **({"maxMemory": format_size(config.max_memory)} if config.max_memory != config.memory else {}),
        "disks": [_disk(number, disk, places[disk.path]) for number, disk in enumerate(config.disks)],
        "networks": [_nic(nic) for nic in config.nics],
        "graphics": config.graphics,
        "devices": {
            "guestAgentChannel": config.agent_channel,
            "serialConsole": config.serial_console,
            "consoleLog": config.console_log == CONSOLE_LOG.format(name=config.name),
            "rng": config.rng,
            "balloon": config.balloon,
        },
        **({"watchdog": asdict(config.watchdog)} if config.watchdog is not None else {}),
        **({"clock": config.clock} if config.clock != "utc" else {}),
        **({"tpm": config.tpm} if config.tpm != "none" else {}),
        "placement": {"hosts": [host]},
        "ha": {"enabled": False},
    }
    made = document_of("VirtualMachine", domain.name, spec)
    made["metadata"]["adopt"] = domain.uuid
    return made


def _disk(number: int, disk: DiskConfig, place: tuple[str, str] | None) -> Document:
    pool, volume = place or ("", disk.path)
    tune = {} if disk.io_tune is None else asdict(disk.io_tune)
    limits = {
        _camel(name): value if name.endswith("iops") else format_rate(value) for name, value in tune.items() if value
    }
    return {
        "name": "root" if number == 0 else disk.target,
        "pool": pool,
        "volume": volume,
        "format": disk.format,
        "bus": disk.bus,
        **({"readOnly": True} if disk.read_only else {}),
        **({"ioTune": limits} if limits else {}),
    }


def _nic(nic: NicConfig) -> Document:
    kind, colon, bridge = nic.network.partition(":")
    made: Document = {"bridge": bridge} if colon else {"network": kind}
    made |= {"mac": nic.mac, "model": nic.model, **({"link": nic.link} if nic.link != "up" else {})}
    limits = {}
    for way, traffic in (
        ("inbound", nic.bandwidth and nic.bandwidth.inbound),
        ("outbound", nic.bandwidth and nic.bandwidth.outbound),
    ):
        if traffic:
            limits[way] = {
                "average": format_rate(traffic.average),
                **({"peak": format_rate(traffic.peak)} if traffic.peak else {}),
                **({"burst": format_size(traffic.burst)} if traffic.burst else {}),
            }
    return {**made, **({"bandwidth": limits} if limits else {})}


def _camel(name: str) -> str:
    first, _, rest = name.partition("_")
    return first + rest.title().replace("_", "")


def _differences(
    fleet: str, document: Document, domain: ObservedDomain, host: Host, seen: HostInventory
) -> Iterator[str]:
    """What the planner would still change, by its own comparison; or what the spec can't say at all."""
    try:
        vm = VirtualMachine.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            yield f"{'.'.join(str(step) for step in found['loc'])}: {found['msg']}"
        return
    pools = {name: PoolOnHost(pool.target, pool.type in BLOCK_TYPES) for name, pool in seen.pools.items()}
    volumes = {disk.name: disk.volume or "" for disk in vm.spec.disks}
    wanted = desired_domain(fleet, vm, host, pools, volumes=volumes, observed=domain.config)
    for change in diff(wanted, domain.config):
        if change.field not in HARMLESS:
            yield f"{change.field}: {change.old} can't be said, it would become {change.new}"

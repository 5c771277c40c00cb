"""What libvirt and QEMU do to domains, as measured on real hosts."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from msgspec.structs import replace

from reconciler.errors import HostError, HostFault, HostRefused, ObjectConflict, ObjectNotFound
from reconciler.hypervisor import simulated_abilities as abilities
from reconciler.hypervisor.simulated_storage import resize
from reconciler.hypervisor.simulated_world import DomainEntry, HostState, World
from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig, OwnershipMark
from reconciler.model.live_edit import (
    Adjust,
    EjectSeed,
    InsertSeed,
    LiveEdit,
    Plug,
    Replug,
    SetMemory,
    SetVcpus,
    Unplug,
    edited,
)

_MACHINES: Final = {"q35": "pc-q35-7.2", "pc": "pc-i440fx-7.2"}
"""Unversioned machine types, and what libvirt writes instead when a domain is defined."""


def find(host: HostState, uuid: str) -> DomainEntry:
    """The domain; raises ObjectNotFound."""
    entry = host.domains.get(uuid)
    if entry is None:
        raise ObjectNotFound("there is no domain with this UUID", host=host.name, target=f"domain {uuid}")
    return entry


def define(world: World, host: HostState, config: DomainConfig) -> None:
    """Define or redefine; what people added stays as it is, and so does the live domain but for its mark."""
    if config.domain_type not in host.facts.domain_types:
        raise _refused(host, config.name, f"could not find capabilities for domaintype={config.domain_type}")
    named = host.by_name(config.name)
    if named is not None and named.config.uuid != config.uuid:
        raise ObjectConflict(
            f"domain '{config.name}' already exists with uuid {named.config.uuid}",
            host=host.name,
            target=f"VirtualMachine/{config.name}",
        )
    entry = host.domains.get(config.uuid)
    if entry is not None and entry.config.name != config.name:
        raise ObjectConflict(
            f"domain '{entry.config.name}' is already defined with uuid {config.uuid}",
            host=host.name,
            target=f"VirtualMachine/{config.name}",
        )
    if entry is None:
        stored = replace(config, machine=_MACHINES.get(config.machine, config.machine))
        host.domains[config.uuid] = DomainEntry(stored)
    else:
        entry.config = replace(config, machine=_kept_machine(entry, config))
        entry.live = entry.live and replace(entry.live, mark=_running_mark(config, entry.live))
        entry.persistent = True
    world.emit(host.name, "domain", config.name, "defined")


def _running_mark(config: DomainConfig, live: DomainConfig) -> OwnershipMark | None:
    """What CPU it booted with does not change by a definition."""
    return config.mark and replace(config.mark, cpu_model=live.mark.cpu_model if live.mark else "")


def _kept_machine(entry: DomainEntry, config: DomainConfig) -> str:
    family = _MACHINES.get(config.machine)
    if family is None:
        return config.machine
    stem = family.rpartition("-")[0]
    return entry.config.machine if entry.config.machine.startswith(stem) else family


def undefine(world: World, host: HostState, uuid: str) -> None:
    """Undefine; a running domain stays, transient from now on."""
    entry = find(host, uuid)
    if not entry.persistent:
        raise _refused(host, entry.config.name, "cannot undefine transient domain")
    entry.persistent = False
    if not entry.active:
        del host.domains[uuid]
    world.emit(host.name, "domain", entry.config.name, "undefined")


def rename(world: World, host: HostState, uuid: str, name: str) -> None:
    """Give a domain that is off another name; refused as libvirt refuses."""
    entry = find(host, uuid)
    if entry.active or not entry.persistent:
        raise _refused(host, entry.config.name, "domain has to be shutoff before renaming")
    if any(other.config.name == name for other in host.domains.values()):
        raise _refused(host, entry.config.name, f"domain with name '{name}' already exists")
    entry.config = replace(entry.config, name=name)
    world.emit(host.name, "domain", name, "defined")


def start(world: World, host: HostState, uuid: str) -> None:
    """Start a domain that is off; refused as QEMU refuses: no disk, no network, no memory, disk locked by another."""
    entry = find(host, uuid)
    name = entry.config.name
    if entry.active:
        raise _refused(host, name, "domain is already running")
    try:
        check_needs(world, host, entry)
    except HostError:
        entry.reason = "failed"
        raise
    if any(other.config.uuid == uuid for _host, other in world.active_domains()):
        world.violations.append(f"domain {name} was started on {host.name} while a copy of it runs elsewhere")
    entry.live, entry.off_at, entry.cpu = entry.config, None, abilities.given(host, entry.config)
    entry.state, entry.reason = "running", ""
    entry.boots += 1
    crashes_after = world.crashing_guests.get(name)
    entry.crash_at = None if crashes_after is None else world.clock.monotonic() + crashes_after
    world.emit(host.name, "domain", name, "started")


def resume(world: World, host: HostState, uuid: str) -> None:
    """Unpause; one that runs already is fine."""
    entry = find(host, uuid)
    if not entry.active:
        raise _refused(host, entry.config.name, "domain is not running")
    if entry.is_incoming:
        raise _refused(host, entry.config.name, "domain is being migrated")
    entry.state, entry.reason = "running", ""
    world.emit(host.name, "domain", entry.config.name, "resumed")


def request_shutdown(world: World, host: HostState, uuid: str) -> None:
    """Press the guest's power button."""
    entry = find(host, uuid)
    if not entry.active:
        raise _refused(host, entry.config.name, "domain is not running")
    if entry.state == "running" and entry.config.name not in host.deaf_guests and entry.off_at is None:
        entry.off_at = world.clock.monotonic() + host.shutdown_seconds


class SimulatedConsole:
    """What a guest prints once it is up; a deaf one never comes so far."""

    def __init__(self, entry: DomainEntry, deaf: Container[str]) -> None:
        self._entry: Final = entry
        self._deaf: Final = deaf
        self._is_read = False

    def read(self) -> bytes:
        """What was printed since."""
        entry, was_read = self._entry, self._is_read
        if was_read or entry.state != "running" or entry.config.name in self._deaf:
            return b""
        self._is_read = True
        return f"Booting\r\n{entry.config.name} login: ".encode()

    def close(self) -> None:
        """Nothing is held."""


def running(host: HostState, uuid: str) -> DomainEntry:
    """The domain; raises HostRefused for one that is off."""
    entry = find(host, uuid)
    if not entry.active:
        raise _refused(host, entry.config.name, "domain is not running")
    return entry


def guest_answers(host: HostState, uuid: str) -> bool:
    """Deaf guests neither feel the button nor answer."""
    entry = running(host, uuid)
    return entry.state == "running" and entry.config.agent_channel and entry.config.name not in host.deaf_guests


def stop(world: World, host: HostState, entry: DomainEntry, reason: str) -> None:
    """Have the domain off now, for a `reason` in libvirt's words; a transient one is gone with that."""
    if not entry.active:
        return
    entry.live, entry.off_at, entry.crash_at, entry.is_incoming = None, None, None, False
    entry.state, entry.reason = "shutoff", reason
    if not entry.persistent:
        del host.domains[entry.config.uuid]
    world.emit(host.name, "domain", entry.config.name, "stopped")


def settle(world: World, host: HostState) -> None:
    """Let what the guests were doing come to its end, as far as time has passed."""
    now = world.clock.monotonic()
    for entry in tuple(host.domains.values()):
        if entry.off_at is not None and entry.off_at <= now:
            stop(world, host, entry, "shutdown")
        elif entry.crash_at is not None and entry.crash_at <= now:
            stop(world, host, entry, "crashed")


def grow_disk(host: HostState, uuid: str, path: str, capacity: int) -> None:
    """Grow a disk of a running domain."""
    entry = find(host, uuid)
    name = entry.config.name
    if entry.live is None:
        raise _refused(host, name, "domain is not running")
    file = host.file(path) if any(disk.path == path for disk in entry.live.disks) else None
    if file is None:
        raise _refused(host, name, f"invalid path {path} not assigned to domain")
    if capacity < file.capacity:
        raise _refused(host, name, "shrinking a disk is not supported")
    resize(file, capacity)


def edit_live(world: World, host: HostState, uuid: str, edit: LiveEdit) -> None:
    """Change a running domain alone; a deaf guest keeps what it has."""
    entry = find(host, uuid)
    name = entry.config.name
    if entry.live is None:
        raise _refused(host, name, "domain is not running")
    _check_edit(world, host, entry, entry.live, edit)
    gives_up = isinstance(edit, Unplug | EjectSeed | SetMemory) or (
        isinstance(edit, SetVcpus) and edit.vcpus < entry.live.vcpus
    )
    if not (gives_up and name in host.deaf_guests):
        entry.live = edited(entry.live, edit)
        world.emit(host.name, "domain", name, "device added")


def _check_edit(world: World, host: HostState, entry: DomainEntry, live: DomainConfig, edit: LiveEdit) -> None:
    name = entry.config.name
    match edit:
        case SetMemory() if edit.memory > live.max_memory:
            raise _refused(host, name, "cannot set memory higher than max memory")
        case SetVcpus() if edit.vcpus > live.max_vcpus:
            raise _refused(host, name, "requested vcpus is greater than max allowable vcpus for the live domain")
        case Plug(DiskConfig() as disk) | InsertSeed(disk):
            if any(disk.target == other.target for other in _all_disks(live)):
                raise _refused(host, name, f"target {disk.target} already exists")
            _check_disk(world, host, name, disk)
        case Plug(NicConfig() as nic) | Replug(nic):
            _check_network(host, name, nic)
        case Unplug(device) | Adjust(device):
            _check_plugged(host, name, live, device)
        case EjectSeed(disk) if live.seed is None or live.seed.target != disk.target:
            raise _refused(host, name, f"no device matching disk {disk.target}")
        case _:
            return


def _check_plugged(host: HostState, name: str, live: DomainConfig, device: DiskConfig | NicConfig) -> None:
    if isinstance(device, DiskConfig):
        if all(device.target != other.target for other in live.disks):
            raise _refused(host, name, f"no device matching disk {device.target}")
    elif all(device.mac != other.mac for other in live.nics):
        raise _refused(host, name, f"no device matching MAC address {device.mac}")


def check_needs(world: World, host: HostState, entry: DomainEntry, *, locks: bool = True) -> None:
    """Raise what QEMU or libvirt would say of the domain that is to run here; without `locks` its disks stay closed."""
    _check_networks(host, entry)
    _check_memory(host, entry)
    for disk in _all_disks(entry.config):
        _check_disk(world, host, entry.config.name, disk, locks=locks)


def _check_networks(host: HostState, entry: DomainEntry) -> None:
    for nic in entry.config.nics:
        _check_network(host, entry.config.name, nic)


def _check_network(host: HostState, name: str, nic: NicConfig) -> None:
    if nic.network.startswith("bridge:"):
        return
    network = host.networks.get(nic.network)
    if network is None:
        target = f"VirtualMachine/{name}"
        raise ObjectNotFound(f"no network with matching name '{nic.network}'", host=host.name, target=target)
    if not network.active:
        raise _refused(host, name, f"network '{nic.network}' is not active")


def _check_memory(host: HostState, entry: DomainEntry) -> None:
    used = sum(other.live.memory for other in host.domains.values() if other.live)
    if used + entry.config.memory > host.facts.memory:
        raise _refused(host, entry.config.name, "cannot set up guest memory 'pc.ram': Cannot allocate memory")


def _check_disk(world: World, host: HostState, name: str, disk: DiskConfig, *, locks: bool = True) -> None:
    path: str | None = disk.path
    while path is not None:
        file = host.file(path)
        if file is None:
            raise _refused(host, name, f"Could not open '{path}': No such file or directory")
        path = file.backing_path
    file = host.file(disk.path)
    if file is not None and locks and not disk.read_only:
        for owner, other in world.writers(file):
            raise HostFault(
                "internal error: process exited while connecting to monitor: "
                f'Failed to get "write" lock on {disk.path}: {other.config.name} on {owner.name} has it',
                host=host.name,
                target=f"VirtualMachine/{name}",
            )


def _all_disks(config: DomainConfig) -> tuple[DiskConfig, ...]:
    seed = (replace(config.seed, read_only=True),) if config.seed else ()
    return (*config.disks, *seed)


def _refused(host: HostState, name: str, message: str) -> HostRefused:
    return HostRefused(message, host=host.name, target=f"VirtualMachine/{name}")

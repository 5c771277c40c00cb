"""Spec → owned-fields form: the domain that a VM should be on a given host."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig, OwnershipMark, WatchdogConfig
from reconciler.model.host import Host
from reconciler.model.seed import seed_hash
from reconciler.model.seed_secrets import SeedSecret
from reconciler.model.steps import SeedContent
from reconciler.model.virtual_machine import VirtualMachine
from reconciler.planner.disk_targets import disk_targets
from reconciler.planner.vm_limits import bandwidth_of, io_tune_of

CONSOLE_LOG: Final = "/var/log/libvirt/qemu/{name}.console.log"
SEED_TARGET: Final = "vdz"
HYPERVISOR_DEFAULT: Final = "hypervisor-default"
Clock = Literal["utc", "localtime"]
Tpm = Literal["none", "tpm-crb", "tpm-tis"]


class PoolOnHost(Struct, frozen=True):
    """Where a pool's volumes appear on one host."""

    target: str
    block: bool
    """Volumes are block devices (`logical`)."""

    def path(self, volume: str) -> str:
        """Path of a volume, as libvirt names it."""
        return f"{self.target.rstrip('/')}/{volume}"


def seed_content(fleet: str, vm: VirtualMachine) -> SeedContent | None:
    """The NoCloud seed of a VM; a new instance id for a changed seed, so that cloud-init runs again."""
    cloud_init = vm.spec.cloud_init
    if cloud_init is None:
        return None
    first = SeedContent(
        instance_id=identity.vm_uuid(fleet, vm.metadata.origin),
        hostname=vm.name,
        user_data=cloud_init.user_data,
        network_config=cloud_init.network_config,
        secrets=tuple(SeedSecret(name, reference) for name, reference in sorted(cloud_init.secrets.items())),
        revision=cloud_init.revision,
    )
    if cloud_init.on_change == "reseed":
        return replace(first, instance_id=f"{first.instance_id}-{seed_hash(first)[:8]}")
    return first


def seed_name(fleet: str, vm: VirtualMachine) -> str | None:
    """Name of the volume that holds the seed as the spec has it now."""
    content = seed_content(fleet, vm)
    return None if content is None else identity.seed_volume(fleet, vm.metadata.origin, seed_hash(content))


def _disk_configs(
    vm: VirtualMachine, pools: Mapping[str, PoolOnHost], observed: DomainConfig | None, volumes: Mapping[str, str]
) -> Iterable[DiskConfig]:
    named = [(disk, volumes[disk.name]) for disk in vm.spec.disks]
    placed = [(disk, pools[disk.pool], pools[disk.pool].path(volume)) for disk, volume in named]
    there = {disk.path: disk.target for disk in observed.disks} if observed else {}
    targets = disk_targets([(path, disk.bus) for disk, _, path in placed], there)
    for disk, pool, path in placed:
        yield DiskConfig(
            target=targets[path],
            path=path,
            format=disk.format,
            bus=disk.bus,
            block_device=pool.block,
            read_only=disk.read_only,
            io_tune=io_tune_of(disk.io_tune),
        )


def _nic_configs(fleet: str, vm: VirtualMachine) -> tuple[NicConfig, ...]:
    macs = identity.effective_macs(fleet, vm)
    return tuple(
        NicConfig(
            mac=mac, network=nic.network_name, model=nic.model, link=nic.link, bandwidth=bandwidth_of(nic.bandwidth)
        )
        for mac, nic in zip(macs, vm.spec.networks, strict=True)
    )


def _seed_config(
    fleet: str, vm: VirtualMachine, pools: Mapping[str, PoolOnHost], observed: DomainConfig | None
) -> DiskConfig | None:
    kept = observed.seed if observed else None
    if kept is not None and vm.spec.cloud_init is not None and vm.spec.cloud_init.on_change == "ignore":
        return kept
    content = seed_content(fleet, vm)
    if content is None:
        return None
    pool = pools[vm.spec.disks[0].pool]
    path = pool.path(identity.seed_volume(fleet, vm.metadata.origin, seed_hash(content)))
    return DiskConfig(
        target=SEED_TARGET, path=path, format="raw", bus="virtio", block_device=pool.block, read_only=True
    )


def desired_domain(
    fleet: str,
    vm: VirtualMachine,
    host: Host,
    pools: Mapping[str, PoolOnHost],
    *,
    volumes: Mapping[str, str],
    observed: DomainConfig | None = None,
) -> DomainConfig:
    """The domain for `vm` on `host`, without its mark; `volumes` are those of its disks, by the disk's name.

    `observed` is the configuration of the VM's own copy: its UUID, device names of disks that stay, and a seed that is
    to be left alone, are taken from it. Raises KeyError where a disk's pool is not among `pools`, or its volume
    not among `volumes`.
    """
    spec = vm.spec
    return DomainConfig(
        name=vm.name,
        uuid=observed.uuid if observed else identity.effective_uuid(fleet, vm),
        domain_type=spec.domain_type,
        machine=spec.machine,
        firmware=spec.firmware,
        vcpus=spec.cpu.count,
        max_vcpus=spec.cpu.max or spec.cpu.count,
        cpu_model=_cpu_model(spec.cpu.model, observed),
        memory=spec.memory,
        max_memory=spec.memory_ceiling,
        disks=tuple(_disk_configs(vm, pools, observed, volumes)),
        nics=_nic_configs(fleet, vm),
        seed=_seed_config(fleet, vm, pools, observed),
        graphics=spec.graphics,
        agent_channel=spec.devices.guest_agent_channel,
        serial_console=spec.devices.serial_console,
        console_log=_console_log(vm, host),
        rng=spec.devices.rng,
        balloon=spec.devices.balloon,
        autostart=spec.run_strategy == "Always" and not spec.ha.enabled,
        mark=None,
        watchdog=None if spec.watchdog is None else WatchdogConfig(spec.watchdog.model, spec.watchdog.action),
        title=spec.title or "",
        description=spec.description or "",
        clock=_clock(spec.clock, observed),
        tpm=_tpm(spec.tpm, observed),
    )


def _cpu_model(wanted: str, observed: DomainConfig | None) -> str:
    """What is left to the hypervisor is named by it, once the domain is there."""
    if wanted != HYPERVISOR_DEFAULT:
        return wanted
    return observed.cpu_model if observed else ""


def _clock(wanted: Clock | None, observed: DomainConfig | None) -> Clock:
    """What a spec leaves out stays as it is."""
    return wanted or (observed.clock if observed else "utc")


def _tpm(wanted: Tpm | None, observed: DomainConfig | None) -> Tpm:
    return wanted or (observed.tpm if observed else "none")


def _console_log(vm: VirtualMachine, host: Host) -> str | None:
    devices = vm.spec.devices
    if _is_session(host.spec.uri) or not (devices.serial_console and devices.console_log):
        return None
    return CONSOLE_LOG.format(name=vm.name)


def _is_session(uri: str) -> bool:
    """A session daemon may not write where the system's logs are."""
    return uri.partition("?")[0].endswith("/session")


def spec_hash(config: DomainConfig) -> str:
    """Hash of a desired domain without its mark: the same spec on the same host has the same one."""
    return hashlib.blake2b(repr(config).encode(), digest_size=8).hexdigest()


def marked(
    config: DomainConfig, vm: VirtualMachine, *, fleet: str, epoch: int, generation: str, restore: str = ""
) -> DomainConfig:
    """`config` with the mark that says whose it is, what was applied, and which restore was done last."""
    return replace(
        config,
        mark=OwnershipMark(
            fleet=fleet,
            vm=vm.name,
            epoch=epoch,
            spec_hash=spec_hash(config),
            generation=generation,
            deletion_policy=vm.spec.deletion_policy,
            prune="disabled" if vm.metadata.prune_disabled else "enabled",
            cpu_model=config.cpu_model,
            restore=restore,
            adopted="" if config.uuid == identity.vm_uuid(fleet, vm.name) else config.uuid,
            origin=vm.metadata.previous_name or "",
        ),
    )

"""Pools, networks and domains that the contract is tried with."""

import uuid

from msgspec.structs import replace

from reconciler.model.domain import (
    BandwidthConfig,
    DiskConfig,
    DomainConfig,
    IoTuneConfig,
    NicConfig,
    OwnershipMark,
    TrafficConfig,
    WatchdogConfig,
)
from reconciler.model.steps import NetworkConfig, PoolConfig
from tests.support import domains

MIB = 1 << 20
SLOW = BandwidthConfig(TrafficConfig(10 * MIB, 20 * MIB, MIB), TrafficConfig(MIB))


def uuid_of(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def pool_config(path: str) -> PoolConfig:
    return PoolConfig(name="vms", uuid=uuid_of("vms"), type="dir", target=path)


def network_config(mode: str = "nat") -> NetworkConfig:
    return NetworkConfig(
        name="lan",
        uuid=uuid_of("lan"),
        mode=mode,  # type: ignore[arg-type]
        bridge=None,
        subnet=None if mode == "isolated" else "192.168.217.0/24",
        dhcp=mode == "nat",
    )


def domain_config(name: str = "web-1", *disks: DiskConfig) -> DomainConfig:
    """A small domain that starts without a disk to boot from."""
    return domains.domain_config(
        name,
        uuid=uuid_of(name),
        domain_type="qemu",
        max_vcpus=2,
        cpu_model="qemu64",
        memory=32 * MIB,
        max_memory=32 * MIB,
        disks=disks,
        nics=(),
        console_log=f"/var/log/libvirt/qemu/{name}.console.log",
        mark=OwnershipMark(fleet="f", vm=name, epoch=1, spec_hash="s1", generation="g1"),
    )


def full_domain_config(path: str) -> DomainConfig:
    """A domain with something of everything."""
    return replace(
        domain_config(
            "full-1",
            DiskConfig("vda", f"{path}/f.full-1.root.qcow2", "qcow2", io_tune=IoTuneConfig(MIB, total_iops=100)),
            DiskConfig("sda", f"{path}/f.full-1.data.raw", "raw", bus="scsi"),
        ),
        seed=DiskConfig("vdz", f"{path}/f.full-1.seed-0123456789abcdef.iso", "raw", read_only=True),
        nics=(
            NicConfig("52:54:00:00:00:01", "lan", bandwidth=SLOW),
            NicConfig("52:54:00:00:00:02", "lan", "e1000e", link="down"),
        ),
        graphics="vnc",
        cpu_model="host-model",
        max_memory=64 * MIB,
        autostart=True,
        watchdog=WatchdogConfig("i6300esb", "poweroff"),
        title="Everything <there> is",
        description="two\nlines",
    )

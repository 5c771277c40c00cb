"""Objects that the tests of the simulated fleet share."""

from __future__ import annotations

from typing import Final

from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig
from reconciler.model.steps import NetworkConfig, PoolConfig

GIB: Final = 1 << 30
TARGET: Final = "/srv/vms"
POOL: Final = PoolConfig("vms", "00000000-0000-4000-8000-00000000000a", "dir", TARGET)
LAN: Final = NetworkConfig("lan", "00000000-0000-4000-8000-00000000000b", "nat", None, "10.0.0.0/24", dhcp=True)
UUID: Final = "00000000-0000-4000-8000-000000000001"
OTHER: Final = "00000000-0000-4000-8000-000000000002"
QCOW2: Final = b"QFI\xfb" + bytes(20) + (3 * GIB).to_bytes(8, "big") + bytes(1000)


def config(name: str = "web", uuid: str = UUID) -> DomainConfig:
    return DomainConfig(
        name=name,
        uuid=uuid,
        domain_type="kvm",
        machine="q35",
        firmware="bios",
        vcpus=1,
        max_vcpus=1,
        cpu_model="host-model",
        memory=GIB,
        max_memory=GIB,
        disks=(DiskConfig("vda", f"{TARGET}/{name}.qcow2", "qcow2"),),
        nics=(NicConfig("52:54:00:00:00:01", "lan"),),
        seed=None,
        graphics="none",
        agent_channel=True,
        serial_console=True,
        console_log=None,
        rng=True,
        balloon=True,
        autostart=False,
        mark=None,
    )

"""A domain in a line."""

from __future__ import annotations

from typing import Any, Final

from reconciler.model import identity
from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig

_FLEET: Final = "f"
_GIB: Final = 1 << 30


def domain_config(name: str = "web", **fields: Any) -> DomainConfig:
    """1 CPU, 1 GiB, the disk /srv/vms/NAME.qcow2 and a NIC in `lan`, unmarked, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {
        "uuid": identity.vm_uuid(_FLEET, name),
        "domain_type": "kvm",
        "machine": "q35",
        "firmware": "bios",
        "vcpus": 1,
        "max_vcpus": 1,
        "cpu_model": "host-model",
        "memory": _GIB,
        "max_memory": _GIB,
        "disks": (DiskConfig("vda", f"/srv/vms/{name}.qcow2", "qcow2"),),
        "nics": (NicConfig(identity.nic_mac(_FLEET, name, 0), "lan"),),
        "seed": None,
        "graphics": "none",
        "agent_channel": True,
        "serial_console": True,
        "console_log": None,
        "rng": True,
        "balloon": True,
        "autostart": False,
        "mark": None,
    }
    return DomainConfig(name=name, **{**defaults, **fields})

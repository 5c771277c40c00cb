"""Objects that the tests of the simulated fleet share."""

from __future__ import annotations

from typing import Final

from reconciler.model.identity import vm_uuid
from reconciler.model.steps import NetworkConfig, PoolConfig

GIB: Final = 1 << 30
TARGET: Final = "/srv/vms"
POOL: Final = PoolConfig("vms", "00000000-0000-4000-8000-00000000000a", "dir", TARGET)
LAN: Final = NetworkConfig("lan", "00000000-0000-4000-8000-00000000000b", "nat", None, "10.0.0.0/24", dhcp=True)
UUID: Final = vm_uuid("f", "web")
OTHER: Final = "00000000-0000-4000-8000-000000000002"
QCOW2: Final = b"QFI\xfb" + bytes(20) + (3 * GIB).to_bytes(8, "big") + bytes(1000)

"""Examples and patterns of fields whose form no JSON Schema can be derived from: validators decide there."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uri": "qemu+ssh://root@h1.example/system",
        "migrationAddress": "10.0.0.11",
        "target": "/srv/vms",
        "dir": "/export/vms",
        "host": "nfs.example",
        "hosts": "[h1, h2]",
        "volumeGroup": "vg0",
        "bridge": "br0",
        "subnet": "192.168.150.0/24",
        "url": "https://images.example/debian-12.qcow2",
        "path": "images/debian-12.qcow2",
        "checksum": "sha256:" + "0123456789abcdef" * 4,
        "mac": "52:54:00:12:34:56",
        "machine": "q35",
        "model": "host-model",
        "userData": '"#cloud-config"',
        "networkConfig": "'version: 2'",
        "file": "h1-bmc",
        "env": "H1_BMC_PASSWORD",
        "network": "lan",
        "title": "Shop, front end",
        "description": "asked for by accounting",
        "pool": "vms",
        "image": "debian-12",
        "fingerprints": '["5f0c2a7d9e13"]',
        "approvedBy": "Ada",
        "reason": "replaced by web-2",
        "expires": "2026-12-01",
    }
)
"""By the field's name: a value as written in YAML."""

PATTERNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uri": r"^(qemu|qemu\+(ssh|tls|tcp|unix)|test(\+(unix|tcp))?):",
        "target": "^/",
        "dir": "^/",
        "subnet": r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$",
        "url": "^https?://",
        "checksum": r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$",
        "mac": "^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$",
    }
)
"""By the field's name: what every value that is right matches."""

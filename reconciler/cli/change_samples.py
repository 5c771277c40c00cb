"""For each field of a VM, changes that show what changing it does to the running guest.

Only the changes are listed here; what each does is asked of the planner (`change_table`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

Values = Mapping[str, Any]
_ROOT: Final[Values] = {"name": "root", "pool": "vms", "image": "debian", "size": "10GiB"}
_DATA: Final[Values] = {"name": "data", "pool": "vms", "size": "10GiB"}
_VERSION: Final = "2026-11-22T02:00Z"
_VERSIONED: Final[Values] = {"image": "golden@latest"}
_SEED: Final[Values] = {"userData": "#!/bin/sh\n", "onChange": "reseed"}
_KEPT_SEED: Final[Values] = {**_SEED, "onChange": "ignore"}


class Sample(Struct, frozen=True):
    """One change of a field: when this is how it goes, and what the spec has beside the least, before and after."""

    field: str
    """Path below the VM, lists without their indexes."""
    when: str
    before: Values
    after: Values
    metadata: Values = msgspec.field(default_factory=dict)
    """Of the metadata, afterwards."""


def _of(path: str, when: str, before: Values, after: Values) -> Sample:
    return Sample(f"spec.{path}", when, before, after)


def _data(path: str, when: str, before: Values, after: Values) -> Sample:
    """A change of the second disk."""
    old, new = ({"disks": [_ROOT, {**_DATA, **values}]} for values in (before, after))
    return _of(f"disks.{path}", when, old, new)


def _card(path: str, when: str, before: Values, after: Values) -> Sample:
    """A change of the network card."""
    old, new = ({"networks": [{"network": "lan", **values}]} for values in (before, after))
    return _of(f"networks.{path}", when, old, new)


_SECRET_SEED: Final[Values] = {
    "userData": "#!/bin/sh\n: ${secret:a}\n",
    "secrets": {"a": {"env": "A"}},
    "onChange": "reseed",
}


def _seed(path: str, when: str, before: Values, after: Values) -> Sample:
    return _of(f"cloudInit.{path}", when, {"cloudInit": before}, {"cloudInit": after})


def _tuned(name: str, value: object) -> Sample:
    return _data(f"ioTune.{name}", "", {}, {"ioTune": {name: value}})


def _slowed(direction: str, name: str, value: str) -> Sample:
    slow = {"average": "1MiB/s"}
    before: Values = {} if name == "average" else {"bandwidth": {direction: slow}}
    return _card(f"bandwidth.{direction}.{name}", "", before, {"bandwidth": {direction: {**slow, name: value}}})


_ROOM: Final[Values] = {"maxMemory": "4GiB", "cpu": {"count": 2, "max": 4}}
SAMPLES: Final[tuple[Sample, ...]] = (
    Sample("metadata.name", "without `previousName`, and nothing else", {}, {}, {"name": "other"}),
    Sample("metadata.previousName", "with another `name`", {}, {}, {"name": "other", "previousName": "web"}),
    Sample("metadata.labels", "", {}, {}, {"labels": {"app": "db"}}),
    Sample("metadata.annotations", "", {}, {}, {"annotations": {"note": "x"}}),
    Sample("metadata.annotations", "`reconciler/prune`", {}, {}, {"annotations": {"reconciler/prune": "disabled"}}),
    Sample("metadata.adopt", "of a VM that is there", {}, {}, {"adopt": "4dea22b3-1d52-4d8e-a3d2-0123456789ab"}),
    _of("title", "", {}, {"title": "Shop"}),
    _of("description", "", {}, {"description": "front end"}),
    _of("runStrategy", "to `Halted`: shut down at once", {}, {"runStrategy": "Halted"}),
    _of("runStrategy", "to another", {}, {"runStrategy": "Manual"}),
    _of("domainType", "", {}, {"domainType": "qemu"}),
    _of("machine", "", {}, {"machine": "pc"}),
    _of("firmware", "", {}, {"firmware": "uefi"}),
    _of("cpu.count", "up to `cpu.max`", _ROOM, {**_ROOM, "cpu": {"count": 3, "max": 4}}),
    _of("cpu.count", "fewer", _ROOM, {**_ROOM, "cpu": {"count": 1, "max": 4}}),
    _of(
        "cpu.count",
        "fewer, under emulation",
        {**_ROOM, "domainType": "qemu"},
        {"domainType": "qemu", "cpu": {"count": 1, "max": 4}, "maxMemory": "4GiB"},
    ),
    _of("cpu.count", "beyond `cpu.max`", {}, {"cpu": {"count": 2}}),
    _of("cpu.max", "", {}, {"cpu": {"max": 2}}),
    _of("cpu.model", "", {}, {"cpu": {"model": "EPYC"}}),
    _of("memory", "up to `maxMemory`, or less", _ROOM, {**_ROOM, "memory": "2GiB"}),
    _of("memory", "beyond `maxMemory`", {}, {"memory": "2GiB"}),
    _of("maxMemory", "", {}, {"maxMemory": "2GiB"}),
    _of("disks", "one more, `virtio`", {}, {"disks": [_ROOT, _DATA]}),
    _of("disks", "one more, `sata`", {}, {"disks": [_ROOT, {**_DATA, "bus": "sata"}]}),
    _of("disks", "one less; its volume is kept", {"disks": [_ROOT, _DATA]}, {"disks": [_ROOT]}),
    _of("disks", "another first one", {"disks": [_ROOT, _DATA]}, {"disks": [_DATA, _ROOT]}),
    _data("name", "another disk, the old one unplugged", {}, {"name": "other"}),
    _of("disks.name", "of the first", {}, {"disks": [{**_ROOT, "name": "other"}]}),
    _data("pool", "", {}, {"pool": "slow"}),
    _data("volume", "one that is not the VM's", {}, {"volume": "other.qcow2"}),
    _data("image", "for disks that are not made yet", {"image": "debian"}, {"image": "other"}),
    _data("imageDisk", "for disks that are not made yet", _VERSIONED, {**_VERSIONED, "imageDisk": "root"}),
    _data("size", "larger", {}, {"size": "20GiB"}),
    _data("size", "smaller", {}, {"size": "5GiB"}),
    _data("format", "", {}, {"format": "raw"}),
    _data("clone", "for disks that are not made yet", {}, {"clone": "full"}),
    _data("bus", "", {}, {"bus": "scsi"}),
    _data("readOnly", "", {}, {"readOnly": True}),
    *(_tuned(name, "50MiB/s") for name in ("totalBytes", "readBytes", "writeBytes")),
    *(_tuned(name, 500) for name in ("totalIops", "readIops", "writeIops")),
    _of("networks", "one more, or one less", {}, {"networks": [{"network": "lan"}, {"network": "lan"}]}),
    _card("network", "", {}, {"network": "dmz"}),
    _of("networks.bridge", "", {}, {"networks": [{"bridge": "br0"}]}),
    _card("mac", "another card, the old one unplugged", {}, {"mac": "52:54:00:00:00:01"}),
    _card("model", "", {}, {"model": "e1000e"}),
    _card("link", "", {}, {"link": "down"}),
    *(_slowed(way, "average", "1MiB/s") for way in ("inbound", "outbound")),
    *(_slowed(way, "peak", "2MiB/s") for way in ("inbound", "outbound")),
    *(_slowed(way, "burst", "1MiB") for way in ("inbound", "outbound")),
    _of("cloudInit", "given, or taken away", {}, {"cloudInit": _SEED}),
    _seed("userData", "with `onChange: reseed`", _SEED, {**_SEED, "userData": "#!/bin/bash\n"}),
    _seed("userData", "with `onChange: ignore`", _KEPT_SEED, {**_KEPT_SEED, "userData": "#!/bin/bash\n"}),
    _seed("networkConfig", "as `userData`", _SEED, {**_SEED, "networkConfig": "version: 2"}),
    _seed(
        "secrets", "another reference: as `userData`", _SECRET_SEED, {**_SECRET_SEED, "secrets": {"a": {"env": "B"}}}
    ),
    _seed("revision", "as `userData`", _SEED, {**_SEED, "revision": "2"}),
    _seed("onChange", "to `reseed`: another instance id", _KEPT_SEED, _SEED),
    _of("graphics", "", {}, {"graphics": "vnc"}),
    _of("restore.image", "another value than the one that was done", {}, {"restore": {"image": "golden"}}),
    _of("restore.version", "as `restore.image`", {}, {"restore": {"image": "golden", "version": _VERSION}}),
    _of("restore.tombstone", "as `restore.image`", {}, {"restore": {"tombstone": "latest"}}),
    _of("restore.disks", "as `restore.image`", {}, {"restore": {"image": "golden", "disks": ["root"]}}),
    _of("restore.again", "as `restore.image`", {}, {"restore": {"image": "golden", "again": 1}}),
    _of("guestAgent.liveness", "", {}, {"guestAgent": {"liveness": "2m"}}),
    _of("watchdog.model", "given, or taken away", {}, {"watchdog": {"model": "i6300esb"}}),
    _of("watchdog.action", "", {"watchdog": {}}, {"watchdog": {"action": "pause"}}),
    *(
        _of(f"devices.{name}", "", {}, {"devices": {name: False}})
        for name in ("guestAgentChannel", "serialConsole", "consoleLog", "rng", "balloon")
    ),
    _of("clock", "", {}, {"clock": "localtime"}),
    _of("tpm", "", {}, {"tpm": "tpm-crb"}),
    _of("placement.hosts", "without its host", {}, {"placement": {"hosts": ["h2"]}}),
    _of("placement.nodeSelector", "without its host", {}, {"placement": {"nodeSelector": {"host": "h2"}}}),
    _of("placement.spread", "", {}, {"placement": {"spread": {"app": "web"}}}),
    _of("placement.preferSpread", "", {}, {"placement": {"preferSpread": {"app": "web"}}}),
    _of("placement.onDrain", "", {}, {"placement": {"onDrain": "shutdown"}}),
    _of("ha.enabled", "", {}, {"ha": {"enabled": False}}),
    _of("ha.priority", "", {}, {"ha": {"priority": 1}}),
    _of("ha.onHostLoss", "", {}, {"ha": {"onHostLoss": "rebuild"}}),
    _of("updatePolicy", "with nothing staged", {}, {"updatePolicy": "restart"}),
    _of("shutdown.timeout", "", {}, {"shutdown": {"timeout": "5m"}}),
    _of("shutdown.force", "", {}, {"shutdown": {"force": False}}),
    _of("deletionPolicy", "", {}, {"deletionPolicy": "delete"}),
)

"""Versions of captured images in a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from reconciler.model import identity
from reconciler.model.inventory import Inventory, ObservedVolume
from reconciler.model.ledger import LedgerView
from reconciler.model.version import ImageVersion, VersionDisk, parse_instant, stamp_of
from tests.support.fleets import FLEET, GIB, Spec, Story, desired, host, image, observed_host, observed_pool, pool

IMAGE: Final = "web-golden"


def at(text: str) -> float:
    """Wall time of `2026-11-22T02:00Z`."""
    return datetime.fromisoformat(text).timestamp()


def version(text: str, parent: str | None = None, **fields: Any) -> ImageVersion:
    """The version of `text` (`2026-11-22T02:00Z`) of an image of VirtualMachine/web, kept on h1."""
    stamp, base = parse_instant(text), None if parent is None else parse_instant(parent)
    disk = VersionDisk(
        name="root",
        volume=identity.version_disk_volume(FLEET, IMAGE, stamp, "root"),
        virtual_size=10 * GIB,
        size=GIB,
        digest="sha256:" + "ab" * 32,
        parent_volume=None if base is None else identity.version_disk_volume(FLEET, IMAGE, base, "root"),
    )
    made = ImageVersion(
        image=IMAGE,
        stamp=stamp,
        taken_at=at(text),
        vm="web",
        vm_uuid=identity.vm_uuid(FLEET, "web"),
        pool="vms",
        host="h1",
        generation="g1",
        spec_hash="0",
        consistency="quiesced",
        disks=(disk,),
        parent=base,
    )
    return replace(made, **fields)


def nightly(newest: str, count: int) -> tuple[ImageVersion, ...]:
    """One a night, oldest first."""
    last = at(newest)
    stamps = (stamp_of(last - 86400 * night) for night in reversed(range(count)))
    return tuple(version(f"{s[:4]}-{s[4:6]}-{s[6:8]}T{s[9:11]}:{s[11:13]}Z") for s in stamps)


def volumes_of(versions: Iterable[ImageVersion]) -> tuple[ObservedVolume, ...]:
    """Their files, as libvirt tells of them."""
    found = []
    for each in versions:
        manifest = identity.version_manifest(FLEET, each.image, each.stamp)
        found.append(ObservedVolume(manifest, f"/srv/vms/{manifest}", "raw", 1000, 4096))
        for disk in each.disks:
            backing = None if disk.parent_volume is None else f"/srv/vms/{disk.parent_volume}"
            found.append(
                ObservedVolume(disk.volume, f"/srv/vms/{disk.volume}", "qcow2", disk.virtual_size, GIB, backing)
            )
    return tuple(found)


def captured_image(**spec: Any) -> Spec:
    """The image that they are versions of."""
    return image(IMAGE, source={"vm": "web"}, pool="vms", format="qcow2", **spec)


def story(
    versions: tuple[ImageVersion, ...],
    *specs: Spec,
    now: float,
    ledger: Mapping[str, Any] | None = None,
    desired_more: Mapping[str, Any] | None = None,
    extra_volumes: Iterable[ObservedVolume] = (),
) -> Story:
    """One host with the versions in its pool; `specs` beside that host and the pool."""
    files = (*volumes_of(versions), *extra_volumes)
    view = LedgerView(versions={IMAGE: versions}, hosts_read=frozenset({"h1"}), **(ledger or {}))
    inventory = Inventory(hosts={"h1": observed_host("h1", pools=[observed_pool("vms", volumes=files)])})
    return Story(desired(host("h1"), pool("vms"), *specs, **(desired_more or {})), inventory, view, now)

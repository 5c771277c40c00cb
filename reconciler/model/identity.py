"""Names, UUIDs and MACs that follow from the fleet and the spec, so that a rebuilt controller finds its own."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, cast

from msgspec import Struct

from reconciler.model.domain import OwnershipMark
from reconciler.model.virtual_machine import VirtualMachine

_NAMESPACE: Final = bytes.fromhex("9d0c3f6e6a4e5f0e9a525e1f3f0f7b11")
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_LOCAL_UNICAST: Final = "52"
_DISK: Final = re.compile(r"([^.]+)\.([^.]+)\.(?!\d{8}t\d{6}z\.)([^.]+)\.(?:r([1-9]\d*)\.)?(qcow2|raw)")
"""Where a disk has its name, a version of an image has its instant."""
_DRILL_VOLUME: Final = re.compile(r"([^.]+)\.([^.]+)\.\d{8}t\d{6}z\.[^.]+\.drill\.qcow2")
_STAMP: Final = re.compile(r"\d{8}t\d{6}z")


def _uuid5(name: str) -> str:
    """As `uuid.uuid5` in our namespace, in a third of the time: a plan of a large fleet asks for every VM's."""
    digits = hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def vm_uuid(fleet: str, vm: str) -> str:
    """The UUID of the VM named `vm` of `fleet`."""
    return _uuid5(f"{fleet}/VirtualMachine/{vm}")


def effective_uuid(fleet: str, vm: VirtualMachine) -> str:
    """The UUID that `vm` has where it is made anew: that of the domain that it was adopted as, or the derived one."""
    return vm.metadata.adopt or vm_uuid(fleet, vm.metadata.origin)


def marked_uuid(mark: OwnershipMark) -> str:
    """The UUID of the domain that the mark was written for: another one that carries it is a copy by other hands."""
    return mark.adopted or vm_uuid(mark.fleet, mark.vm)


def pool_uuid(fleet: str, pool: str) -> str:
    """The UUID of a pool that we define; the same on each host."""
    return _uuid5(f"{fleet}/StoragePool/{pool}")


def network_uuid(fleet: str, network: str) -> str:
    """The UUID of a network that we define; the same on each host."""
    return _uuid5(f"{fleet}/Network/{network}")


def nic_mac(fleet: str, vm: str, index: int) -> str:
    """The MAC of NIC `index` (from 0) of `vm`: locally administered, 40 bits of it derived.

    QEMU's own prefix 52:54:00 leaves 24 bits, in which 10,000 NICs collide almost surely; 40 bits, hardly ever.
    """
    digest = hashlib.sha256(f"{fleet}/{vm}/{index}".encode()).hexdigest()
    return ":".join((_LOCAL_UNICAST, *(digest[at : at + 2] for at in range(0, 10, 2))))


def effective_macs(fleet: str, vm: VirtualMachine) -> tuple[str, ...]:
    """MACs of the VM's NICs in order, written or derived."""
    return tuple(nic.mac or nic_mac(fleet, vm.metadata.origin, index) for index, nic in enumerate(vm.spec.networks))


def volume_prefix(fleet: str) -> str:
    """What the name of every volume of the fleet begins with; no fleet, VM or disk name contains a dot."""
    return f"{fleet}."


class DiskVolume(Struct, frozen=True):
    """What the name of a disk's volume says. `generation` counts how often the disk was restored, from 0."""

    vm: str
    disk: str
    generation: int
    format: Literal["qcow2", "raw"]


def disk_volume(fleet: str, vm: str, disk: str, disk_format: str, generation: int = 0) -> str:
    """Volume name of one disk of a VM; libvirt can't rename volumes, so that a restored one has a name of its own."""
    restored = f"r{generation}." if generation else ""
    return f"{fleet}.{vm}.{disk}.{restored}{disk_format}"


def parse_disk_volume(fleet: str, volume: str) -> DiskVolume | None:
    """What `disk_volume` made the name of; None for any other volume."""
    found = _DISK.fullmatch(volume)
    if found is None or found[1] != fleet:
        return None
    return DiskVolume(found[2], found[3], int(found[4] or 0), cast("Literal['qcow2', 'raw']", found[5]))


def base_volume(fleet: str, digest: str, image_format: str) -> str:
    """Volume name of a read-only base with this digest (`sha256:…` or `sha512:…`)."""
    return f"{fleet}.base-{digest.partition(':')[2][:32]}.{image_format}"


def base_marker(base: str) -> str:
    """Volume whose existence says that `base` is complete: libvirt can't rename a finished upload into place."""
    return f"{base}.complete"


def seed_volume(fleet: str, vm: str, content_hash: str) -> str:
    """Volume name of a VM's NoCloud seed; a changed seed is another volume."""
    return f"{fleet}.{vm}.seed-{content_hash[:16]}.iso"


def version_disk_volume(fleet: str, image: str, stamp: str, disk: str) -> str:
    """Volume name of one disk of a version of a captured image."""
    return f"{fleet}.{image}.{stamp}.{disk}.qcow2"


def version_copy_volume(fleet: str, image: str, stamp: str, disk: str) -> str:
    """Volume name of what a disk is copied into first, where its version is elsewhere or compressed."""
    return f"{fleet}.{image}.{stamp}.{disk}.copy"


def version_manifest(fleet: str, image: str, stamp: str) -> str:
    """Volume whose existence says that the version is complete; it is written last and deleted first."""
    return f"{fleet}.{image}.{stamp}.version.json"


def version_volume_stamp(fleet: str, volume: str) -> tuple[str, str] | None:
    """Image and stamp that a volume is part of, going by its name; None for any other volume."""
    parts = volume.split(".")
    if len(parts) != len(("fleet", "image", "stamp", "disk", "format")) or parts[0] != fleet:
        return None
    _, image, stamp, disk, kind = parts
    is_part = kind in ("qcow2", "copy") or (disk, kind) == ("version", "json")
    return (image, stamp) if is_part and _STAMP.fullmatch(stamp) is not None else None


def drill_name(fleet: str, image: str) -> str:
    """Name of the throw-away VM of an image, and of the network that it is alone on; no VM's or network's has a dot."""
    return f"{fleet}.drill.{image}"


def drilled_image(fleet: str, name: str) -> str | None:
    """The image whose throw-away VM or network has that name; None for any other."""
    image = name.removeprefix(f"{fleet}.drill.")
    return image if image != name and image and "." not in image else None


def drill_uuid(fleet: str, image: str, kind: Literal["VirtualMachine", "Network"] = "VirtualMachine") -> str:
    """UUID of the throw-away VM of an image, or of its network: never one of a VM or network of the specs."""
    return _uuid5(f"{fleet}/Drill/{kind}/{image}")


def drill_mac(fleet: str, image: str, index: int) -> str:
    """MAC of NIC `index` of the throw-away VM of an image: none of the VM's own."""
    return nic_mac(fleet, f"{image}@drill", index)


def drill_volume(fleet: str, image: str, stamp: str, disk: str) -> str:
    """Volume name of the overlay that stands for one disk of a version while that is tried."""
    return f"{fleet}.{image}.{stamp}.{disk}.drill.qcow2"


def drill_volume_image(fleet: str, volume: str) -> str | None:
    """The image that an overlay of a drill is of, going by its name; None for any other volume."""
    found = _DRILL_VOLUME.fullmatch(volume)
    return found[2] if found is not None and found[1] == fleet else None


def is_version_manifest(volume: str) -> bool:
    """Whether the volume is a manifest, going by its name; no file of a disk ends so."""
    return volume.endswith(".version.json")

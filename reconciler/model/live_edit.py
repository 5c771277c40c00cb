"""What can be done to a domain while its guest runs, and what becomes of its configuration by that."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.domain import DiskConfig, DomainConfig, NicConfig


class SetMemory(Struct, frozen=True):
    """Have the balloon leave the guest so many bytes, up to its ceiling."""

    memory: int


class SetVcpus(Struct, frozen=True):
    """Plug virtual CPUs in or out, up to the ceiling; a guest may refuse to give one up."""

    vcpus: int


class Plug(Struct, frozen=True):
    """Plug a disk or a NIC in."""

    device: DiskConfig | NicConfig


class Unplug(Struct, frozen=True):
    """Ask the guest to let go of a disk or a NIC."""

    device: DiskConfig | NicConfig


class Replug(Struct, frozen=True):
    """Plug a NIC that stays as it is into another network."""

    nic: NicConfig


LiveEdit = SetMemory | SetVcpus | Plug | Unplug | Replug


def edited(config: DomainConfig, edit: LiveEdit) -> DomainConfig:
    """The live configuration once `edit` was done; doing it twice changes nothing more."""
    match edit:
        case SetMemory():
            return replace(config, memory=edit.memory)
        case SetVcpus():
            return replace(config, vcpus=edit.vcpus)
        case Plug():
            return _plugged(config, edit.device)
        case Unplug():
            return _unplugged(config, edit.device)
        case Replug():
            return replace(config, nics=tuple(edit.nic if nic.mac == edit.nic.mac else nic for nic in config.nics))


def is_done(config: DomainConfig, edit: LiveEdit) -> bool:
    """Whether the live configuration is as `edit` leaves it; the order of devices does not matter."""
    match edit:
        case SetMemory():
            return config.memory == edit.memory
        case SetVcpus():
            return config.vcpus == edit.vcpus
        case Plug():
            return edit.device in (*config.disks, *config.nics)
        case Unplug():
            return _unplugged(config, edit.device) == config
        case Replug():
            return edit.nic in config.nics


def _plugged(config: DomainConfig, device: DiskConfig | NicConfig) -> DomainConfig:
    rest = _unplugged(config, device)
    if isinstance(device, DiskConfig):
        return replace(rest, disks=(*rest.disks, device))
    return replace(rest, nics=(*rest.nics, device))


def _unplugged(config: DomainConfig, device: DiskConfig | NicConfig) -> DomainConfig:
    """Without the disk of that path, or the NIC of that MAC."""
    if isinstance(device, DiskConfig):
        return replace(config, disks=tuple(disk for disk in config.disks if disk.path != device.path))
    return replace(config, nics=tuple(nic for nic in config.nics if nic.mac != device.mac))

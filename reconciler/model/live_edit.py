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
    """Plug a NIC that stays as it is into another network, with its link and limits."""

    nic: NicConfig


class Adjust(Struct, frozen=True):
    """Give a device that stays where it is other settings: a disk its I/O limits, a NIC its link and bandwidth."""

    device: DiskConfig | NicConfig


class InsertSeed(Struct, frozen=True):
    """Plug the disk in that holds the cloud-init seed; the guest reads it when it next boots, by itself or by us."""

    seed: DiskConfig


class EjectSeed(Struct, frozen=True):
    """Ask the guest to let go of the disk that holds the cloud-init seed."""

    seed: DiskConfig


class Describe(Struct, frozen=True):
    """Set what libvirt tells people of the domain; the guest sees nothing of it."""

    title: str
    description: str


LiveEdit = SetMemory | SetVcpus | Plug | Unplug | Replug | Adjust | InsertSeed | EjectSeed | Describe


def edited(config: DomainConfig, edit: LiveEdit) -> DomainConfig:
    """The live configuration once `edit` was done; doing it twice changes nothing more."""
    match edit:
        case SetMemory():
            return replace(config, memory=edit.memory)
        case SetVcpus():
            return replace(config, vcpus=edit.vcpus)
        case Describe():
            return replace(config, title=edit.title, description=edit.description)
        case _:
            return _rewired(config, edit)


def _rewired(config: DomainConfig, edit: Plug | Unplug | Replug | Adjust | InsertSeed | EjectSeed) -> DomainConfig:
    """With other devices."""
    match edit:
        case Plug():
            return _plugged(config, edit.device)
        case Unplug():
            return _unplugged(config, edit.device)
        case Replug():
            return _adjusted(config, edit.nic)
        case Adjust():
            return _adjusted(config, edit.device)
        case InsertSeed():
            return replace(config, seed=edit.seed)
        case EjectSeed():
            return replace(config, seed=None) if _has_seed(config, edit.seed) else config


def is_done(config: DomainConfig, edit: LiveEdit) -> bool:
    """Whether the live configuration is as `edit` leaves it; the order of devices does not matter."""
    match edit:
        case Plug() | Adjust():
            return edit.device in (*config.disks, *config.nics)
        case Replug():
            return edit.nic in config.nics
        case _:
            return edited(config, edit) == config


def _has_seed(config: DomainConfig, seed: DiskConfig) -> bool:
    return config.seed is not None and config.seed.path == seed.path


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


def _adjusted(config: DomainConfig, device: DiskConfig | NicConfig) -> DomainConfig:
    """With the settings of the disk of that path, or the NIC of that MAC."""
    if isinstance(device, DiskConfig):
        disks = tuple(device if disk.path == device.path else disk for disk in config.disks)
        return replace(config, disks=disks)
    return replace(config, nics=tuple(device if nic.mac == device.mac else nic for nic in config.nics))
